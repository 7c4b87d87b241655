//! Sessions as a tower layer.
