//! Bulk resends over the whole application.
