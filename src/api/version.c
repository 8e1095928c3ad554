/* SPDX-License-Identifier: Apache-2.0 */
#include "cleave/version.h"

const char *clv_version(void)
{
    return CLVI_VERSION; /* set by the build from the project's version */
}
