//! Sealed parts: age files with the hybrid post-quantum recipient type.
