//! DSP on caller-owned buffers: levels, speaker choice, mix-minus, limiter, resampling, tones.
