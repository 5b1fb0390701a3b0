//! One target for each parser that anybody outside can reach. The configuration's is in the crate `convoke`.

mod c3p;
mod media;
mod numbers;
mod sdp;
mod sip;
