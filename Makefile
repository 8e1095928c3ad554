# SPDX-License-Identifier: Apache-2.0
# The README's two commands; everything else is CMake (see CMakePresets.json).
.PHONY: demo test clean
demo:
	@tools/install_deps.sh
	@mkdir -p build
	@(cmake --preset release -DCLV_TESTS=OFF && cmake --build --preset release) >build/demo.log 2>&1 || (cat build/demo.log; false)
	@tools/demo.sh build/release/cli/cleave
test:
	@tools/test.sh
clean:
	rm -rf build demo.onnx demo.onnx.recipe.json demo.md
