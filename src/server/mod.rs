pub mod ipn;
