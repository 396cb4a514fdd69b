//! The hub: IO around the rules.
