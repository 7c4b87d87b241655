//! In-memory session store.
