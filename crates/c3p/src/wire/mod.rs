//! Every word of the wire: namespaces, element and attribute names, enumerated values.
//!
//! Each word carries the confidence tag of c3p.md 0.1 in its comment: \[V\] and \[V-impl\] are fixed, \[M\] and
//! \[M-low\] may turn out otherwise and are changed here alone.

pub(crate) mod name;
pub(crate) mod namespace;
pub(crate) mod reason;
pub(crate) mod token;

pub(crate) use name::Name;
pub(crate) use namespace::Namespace;
