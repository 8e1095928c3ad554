/* SPDX-License-Identifier: Apache-2.0 */
/* F(form): every compressed form, in the order users see them. A form is its file and its line here. */
F(clvi_form_depthwise)
F(clvi_form_bottleneck)
F(clvi_form_channel)
F(clvi_form_output_depthwise)
F(clvi_form_spatial)
F(clvi_form_tucker2)
F(clvi_form_prune)
F(clvi_form_remove)
F(clvi_form_average)
