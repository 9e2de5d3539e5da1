//! Makes members, sites, agents and meters of a data set.

use domain::ids::{AgentId, MemberId, MeterId, SiteId};
use domain::units::{Energy, Power};
use store::members::{Member, Site};
use store::meters::Meter;

use crate::dataset;

/// What a simulated site's device is read with, by the template's id.
pub type TemplateOf<'a> = &'a dyn Fn(usize) -> String;

/// One site with all that is enrolled for it.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// The member that owns the site.
    pub member: Member,
    /// The site.
    pub site: Site,
    /// Its revenue meter.
    pub meter: Meter,
}

/// Names that members go by among each other; numbered when a community has more members.
const PSEUDONYMS: [&str; 24] = [
    "Amsel",
    "Biber",
    "Dachs",
    "Eisvogel",
    "Fuchs",
    "Gimpel",
    "Hase",
    "Igel",
    "Kranich",
    "Luchs",
    "Marder",
    "Nachtigall",
    "Otter",
    "Pirol",
    "Reh",
    "Schwalbe",
    "Specht",
    "Star",
    "Storch",
    "Uhu",
    "Wiesel",
    "Wolf",
    "Zeisig",
    "Zander",
];
/// Presets go round, so that a community shows them all.
const PRESETS: [&str; 3] = ["hands-off", "greenest", "cheapest"];

/// Makes one member a site, in the order of the data set; `sites_per_agent` sites share an agent.
///
/// # Errors
/// An id of the data set that is not a valid id of the platform.
pub fn enrolments(
    data: &dataset::DataSet,
    sites_per_agent: usize,
    template_of: TemplateOf<'_>,
) -> Result<Vec<Enrolment>, domain::ids::InvalidId> {
    let one = |(index, site): (usize, &dataset::Site)| {
        let number = index + 1;
        let member_id = MemberId::new(&format!("member-{number:04}"))?;
        let site_id = SiteId::new(&site.id)?;
        Ok(Enrolment {
            member: Member {
                member_id: member_id.clone(),
                display_name: format!("{} ({})", site.connection_node, site.load_kinds.join(", ")),
                pseudonym: pseudonym(index),
                preset: PRESETS[index % PRESETS.len()].to_owned(),
            },
            site: Site {
                site_id: site_id.clone(),
                member_id,
                pv_peak: Power::from_w(i64::from(site.pv_peak_w)),
                battery_capacity: Energy::from_wh(i64::from(site.battery_wh)),
                battery_power: Power::from_w(i64::from(site.battery_w)),
            },
            meter: Meter {
                meter_id: MeterId::new(&format!("meter-{number:04}"))?,
                site_id,
                agent_id: AgentId::new(&format!("agent-{:03}", index / sites_per_agent + 1))?,
                template_id: template_of(index),
            },
        })
    };
    data.sites.iter().enumerate().map(one).collect()
}

fn pseudonym(index: usize) -> String {
    let name = PSEUDONYMS[index % PSEUDONYMS.len()];
    match index / PSEUDONYMS.len() {
        0 => name.to_owned(),
        round => format!("{name} {}", round + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudonyms_are_unique_in_a_large_community() {
        let names: std::collections::BTreeSet<_> = (0..1_000).map(pseudonym).collect();
        assert_eq!(names.len(), 1_000);
    }
}
