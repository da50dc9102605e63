//! Routes of claims, and of the coupons that they are.

pub(crate) mod coupons;
pub(crate) mod routes;
pub(crate) mod view;
pub(crate) mod with_code;
