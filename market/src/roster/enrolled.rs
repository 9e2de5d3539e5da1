//! What is enrolled already, so that a line that says something else is refused instead of passed over.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;

use domain::ids::{AccountId, CommunityId, MemberId, MeterId, SiteId};
use store::members::{self, Account, Member, Site};
use store::meters::{self, Meter};
use store::{PgConnection, StoreError, links};

use super::Entry;

/// What is enrolled, lines of the roster that were taken before included.
pub(super) struct Enrolled {
    members: HashMap<MemberId, Member>,
    pseudonyms: HashMap<String, MemberId>,
    sites: HashMap<SiteId, Site>,
    meters: HashMap<MeterId, Meter>,
    meter_of: HashMap<SiteId, MeterId>,
    accounts: HashMap<AccountId, Account>,
    /// Where an account lived before its member linked an address of its own: the roster may still say so.
    former: HashSet<(AccountId, String)>,
}

impl Enrolled {
    pub(super) async fn read(db: &mut PgConnection, community: &CommunityId) -> Result<Self, StoreError> {
        let members = members::all(&mut *db, community).await?;
        let sites = members::sites(&mut *db, community).await?;
        let meters = meters::all(&mut *db, community).await?;
        let accounts = members::accounts(&mut *db, community).await?;
        let former = links::former_addresses(&mut *db, community).await?;
        Ok(Self {
            pseudonyms: members.iter().map(|one| (one.pseudonym.clone(), one.member_id.clone())).collect(),
            members: members.into_iter().map(|one| (one.member_id.clone(), one)).collect(),
            sites: sites.into_iter().map(|one| (one.site_id.clone(), one)).collect(),
            meter_of: meters.iter().map(|one| (one.site_id.clone(), one.meter_id.clone())).collect(),
            meters: meters.into_iter().map(|one| (one.meter_id.clone(), one)).collect(),
            accounts: accounts.into_iter().map(|one| (one.account_id.clone(), one)).collect(),
            former: former.into_iter().collect(),
        })
    }

    /// Notes what a line enrols; whether any of it is new.
    ///
    /// # Errors
    /// What it says that is not as enrolled, in words.
    pub(super) fn take(&mut self, entry: &Entry) -> Result<bool, String> {
        let mut is_new = self.take_account(&entry.account)?;
        if let Some((member, site, meter, _)) = &entry.member {
            is_new |= self.take_member(member)?;
            is_new |= self.take_site(site)?;
            is_new |= self.take_meter(meter)?;
        }
        Ok(is_new)
    }

    fn take_account(&mut self, given: &Account) -> Result<bool, String> {
        let id = &given.account_id;
        let Some(known) = self.accounts.get(id) else {
            self.accounts.insert(id.clone(), given.clone());
            return Ok(true);
        };
        let lived = self.former.contains(&(id.clone(), given.chain_address.clone()));
        if !lived {
            same("chain_address", &format!("account {id}"), &given.chain_address, &known.chain_address)?;
        }
        Ok(false)
    }

    fn take_member(&mut self, given: &Member) -> Result<bool, String> {
        let id = &given.member_id;
        let Some(known) = self.members.get(id) else {
            let owner = self.pseudonyms.entry(given.pseudonym.clone()).or_insert_with(|| id.clone());
            if owner != id {
                return Err(format!(
                    "the pseudonym {:?} is that of member {owner}: choose another",
                    given.pseudonym
                ));
            }
            self.members.insert(id.clone(), given.clone());
            return Ok(true);
        };
        let whose = format!("member {id}");
        same("display_name", &whose, &given.display_name, &known.display_name)?;
        same("pseudonym", &whose, &given.pseudonym, &known.pseudonym)?;
        Ok(false)
    }

    fn take_site(&mut self, given: &Site) -> Result<bool, String> {
        let Some(known) = self.sites.get(&given.site_id) else {
            self.sites.insert(given.site_id.clone(), given.clone());
            return Ok(true);
        };
        let whose = format!("site {}", given.site_id);
        same("member_id", &whose, &given.member_id, &known.member_id)?;
        same("pv_peak_w", &whose, given.pv_peak.w(), known.pv_peak.w())?;
        same("battery_wh", &whose, given.battery_capacity.wh(), known.battery_capacity.wh())?;
        same("battery_w", &whose, given.battery_power.w(), known.battery_power.w())?;
        Ok(false)
    }

    fn take_meter(&mut self, given: &Meter) -> Result<bool, String> {
        let Some(known) = self.meters.get(&given.meter_id) else {
            if let Some(other) = self.meter_of.get(&given.site_id) {
                return Err(format!("site {} has the meter {other} already", given.site_id));
            }
            self.meter_of.insert(given.site_id.clone(), given.meter_id.clone());
            self.meters.insert(given.meter_id.clone(), given.clone());
            return Ok(true);
        };
        let whose = format!("meter {}", given.meter_id);
        same("site_id", &whose, &given.site_id, &known.site_id)?;
        same("agent_id", &whose, &given.agent_id, &known.agent_id)?;
        same("template_id", &whose, &given.template_id, &known.template_id)?;
        Ok(false)
    }
}

fn same<T: PartialEq + Display>(column: &str, whose: &str, given: T, known: T) -> Result<(), String> {
    if given == known {
        return Ok(());
    }
    Err(format!(
        "{column} of {whose} is \"{given}\", but \"{known}\" is enrolled, and enrolling changes nothing that is there: \
         put it back, or enrol under a new id"
    ))
}
