//! The data plane of one conference: legs, mixer, prompts.
