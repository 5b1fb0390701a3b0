//! Numbers and location profiles, dial plan, trunk choice: a verdict for each target.
