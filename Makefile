# SPDX-License-Identifier: Apache-2.0
# The README's two commands; everything else is CMake (see CMakePresets.json).
.PHONY: demo test clean
demo:
	@tools/install_deps.sh
	@cmake --preset release -DCLV_TESTS=OFF >build.log 2>&1 && cmake --build --preset release >>build.log 2>&1 || (cat build.log; false)
	build/release/cleave synth -o synth.svg
test:
	@tools/test.sh
clean:
	rm -rf build build.log synth.svg
