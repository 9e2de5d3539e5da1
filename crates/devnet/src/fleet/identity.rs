//! What tells one simulated device from another: serial numbers, and the age that its registers show.

use crate::hash::fnv1a;

/// The same for the same site id in every run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// Serial number.
    pub(super) serial: u32,
    /// Network address, 12 hex digits in lower case.
    pub(super) mac: String,
    /// Import register at the epoch in Wh.
    pub(super) import_wh: u32,
    /// Export register at the epoch in Wh.
    pub(super) export_wh: u32,
    /// Production register at the epoch in Wh.
    pub(super) production_wh: u32,
}

impl Identity {
    /// The identity of the devices at `site_id`. Registers start at some hundred kWh, as after a few weeks of use: small
    /// enough that a 32-bit float in kWh still tells single watt-hours apart.
    pub(super) fn of(site_id: &str) -> Self {
        let hash = fnv1a(site_id.as_bytes());
        // FNV spreads the last bytes of the input badly; folding it helps.
        let spread = |salt: u64, range: u64| {
            let mixed = (hash ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            u32::try_from((mixed ^ (mixed >> 32)) % range).unwrap_or_default()
        };
        Self {
            serial: 10_000_000 + spread(1, 2_000_000_000),
            mac: format!("{:012x}", hash & 0xffff_ffff_ffff),
            import_wh: 150_000 + spread(2, 700_000),
            export_wh: 100_000 + spread(3, 500_000),
            production_wh: 200_000 + spread(4, 700_000),
        }
    }

    /// Without photovoltaics nothing has ever been fed in or made.
    pub(super) fn with_pv(self, has_pv: bool) -> Self {
        if has_pv { self } else { Self { export_wh: 0, production_wh: 0, ..self } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_thousand_sites_have_a_thousand_identities() {
        let identities: Vec<_> = (1..=1_000).map(|n| Identity::of(&format!("site-{n:03}"))).collect();
        let distinct =
            |key: fn(&Identity) -> String| identities.iter().map(key).collect::<HashSet<_>>().len();
        assert_eq!(distinct(|identity| identity.mac.clone()), 1_000);
        assert_eq!(distinct(|identity| identity.serial.to_string()), 1_000);
        assert!(distinct(|identity| identity.import_wh.to_string()) > 900);
        assert!(identities.iter().all(|identity| identity.mac.len() == 12));
        assert_eq!(Identity::of("site-001"), Identity::of("site-001"));
    }
}
