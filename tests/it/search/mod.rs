//! Search: what is found, in which order, over how many pages, and how soon a change is seen.

mod contract;
mod corpus;
mod findings;
mod order;
mod support;
