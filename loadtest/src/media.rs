//! The callers' audio: encoded before the run, sent by a timer wheel, recorded as it comes.
//!
//! A media thread never encodes, decodes or judges: it sends ready frames on absolute deadlines and files what arrives
//! with the kernel's time stamp. Start reading at [`wheel`]; [`leg`] is one caller, [`clips`] what he says.

pub mod cipher;
pub mod clips;
pub mod leg;
pub mod losses;
pub mod rtp;
pub mod sequence;
pub mod wheel;
