//! Sans-IO composition: inputs to machines, outputs to effects. Decides nothing.
