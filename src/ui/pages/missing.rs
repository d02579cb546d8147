//! The page for addresses that name nothing.

use super::failed;
use crate::domain::AppError;
use leptos::prelude::*;

#[component]
pub fn MissingPage() -> impl IntoView {
    failed(&AppError::NotFound)
}
