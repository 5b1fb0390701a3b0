//! Opus and G.711 behind the mixer's codec traits.
