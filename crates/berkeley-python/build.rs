//! Tells the source which interpreter it is built for (`Py_3_12`, …).

fn main() {
    #[cfg(feature = "module")]
    {
        pyo3_build_config::use_pyo3_cfgs();
        pyo3_build_config::add_extension_module_link_args();
    }
}
