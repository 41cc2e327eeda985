"""CMakeLists.txt of an emitted folder."""

from __future__ import annotations

from dlc.backends.c99.layout import Layout


def cmake_text(layout: Layout) -> str:
    """A static (or shared) library NAME, and the self-test for ctest."""
    sources = "model.c" if not layout.source_weights else "model.c weights.c"
    argument = f' "${{CMAKE_CURRENT_SOURCE_DIR}}/{layout.name}.weights"' if layout.in_file else ""
    return f"""\
cmake_minimum_required(VERSION 3.10)
project({layout.name} C)

# Release is -O3; for the machine at hand add -DCMAKE_C_FLAGS=-march=native
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_C_STANDARD 99)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)

add_library({layout.name} {sources})
target_include_directories({layout.name} PUBLIC "${{CMAKE_CURRENT_SOURCE_DIR}}")

enable_testing()
add_executable({layout.name}_selftest selftest.c)
target_link_libraries({layout.name}_selftest {layout.name})
add_test(NAME {layout.name} COMMAND {layout.name}_selftest{argument})
"""
