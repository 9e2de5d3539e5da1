//! The roster: who takes part in a community, from a file that an operator writes.
//!
//! Columns `member_id,display_name,pseudonym,chain_address,site_id,pv_peak_w,meter_id,agent_id,template_id`,
//! one line a site, and `zone_id` if the community has more than one zone (`main` where it is left out). The community's own accounts are lines with `grid`, `network`, `platform` or `reserve` as
//! `member_id`, a `chain_address`, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use domain::fees::MAX_ZONES;
use domain::ids::{AccountId, AgentId, CommunityId, InvalidId, MemberId, MeterId, SiteId, ZoneId};
use domain::units::{Energy, Power};
use serde::Deserialize;
use store::members::{self, Account, Member, Site};
use store::meters::{self, Meter};
use store::{PgConnection, StoreError, agents, zones};

/// The most lines that are read.
const MAX_LINES: usize = 100_000;

/// A line, as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    member_id: String,
    display_name: String,
    pseudonym: String,
    chain_address: String,
    site_id: String,
    pv_peak_w: Option<i64>,
    meter_id: String,
    agent_id: String,
    template_id: String,
    #[serde(default)]
    zone_id: Option<String>,
}

/// What a line enrols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    account: Account,
    /// Nothing for the community's own accounts.
    member: Option<(Member, Site, Meter, ZoneId)>,
}

/// A roster cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// The file cannot be read, or a line has not the columns it must have.
    #[error("the roster {path}: {reason}")]
    File {
        /// Which file.
        path: String,
        /// What is wrong, with the line.
        reason: String,
    },
    /// A line holds what cannot be.
    #[error("the roster, line {line}: {reason}")]
    Line {
        /// Which line.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A site is to move although it takes part already.
    #[error(
        "the roster puts site {site} into the zone {zone}, but it has sent orders or was metered in another and stays \
         there: put its zone_id back, or enrol the connection point under a new site_id and meter_id"
    )]
    ZoneStays {
        /// Which site.
        site: SiteId,
        /// Where it was to go.
        zone: ZoneId,
    },
    /// The database refused it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads a roster.
///
/// # Errors
/// [`RosterError`] with the line to mend.
pub fn read(path: &Path) -> Result<Vec<Entry>, RosterError> {
    let of_file =
        |error: csv::Error| RosterError::File { path: path.display().to_string(), reason: error.to_string() };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(of_file)?;
    let (mut entries, mut zones) = (Vec::new(), BTreeSet::new());
    for (index, line) in reader.deserialize::<Line>().enumerate() {
        let number = index + 2;
        if index >= MAX_LINES {
            return Err(wrong(number, format!("more than {MAX_LINES} lines")));
        }
        let entry = entry(line.map_err(of_file)?).map_err(|reason| wrong(number, reason))?;
        zones.extend(entry.member.iter().map(|(_, _, _, zone)| zone.clone()));
        if zones.len() > MAX_ZONES {
            return Err(wrong(
                number,
                format!("more than {MAX_ZONES} zones: put sites that pay the same fees into one"),
            ));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn wrong(line: usize, reason: String) -> RosterError {
    RosterError::Line { line, reason }
}

fn entry(line: Line) -> Result<Entry, String> {
    let chain_address = address(&line.chain_address)?;
    if matches!(line.member_id.as_str(), "grid" | "network" | "platform" | "reserve") {
        let account_id = AccountId::new(&line.member_id).map_err(|error| error.to_string())?;
        return Ok(Entry {
            account: Account { kind: line.member_id, account_id, chain_address },
            member: None,
        });
    }
    let member = taking_part(&line).map_err(|error| error.to_string())?;
    let account_id = AccountId::of_member(&member.0.member_id).map_err(|error| error.to_string())?;
    let pv_peak_w = line.pv_peak_w.unwrap_or(0);
    if pv_peak_w < 0 || line.display_name.is_empty() || line.pseudonym.is_empty() {
        return Err("pv_peak_w must not be negative, and both names must be given".to_owned());
    }
    Ok(Entry {
        account: Account { account_id, kind: "member".to_owned(), chain_address },
        member: Some(member),
    })
}

fn taking_part(line: &Line) -> Result<(Member, Site, Meter, ZoneId), InvalidId> {
    let member_id = MemberId::new(&line.member_id)?;
    let site_id = SiteId::new(&line.site_id)?;
    let member = Member {
        member_id: member_id.clone(),
        display_name: line.display_name.clone(),
        pseudonym: line.pseudonym.clone(),
        preset: "hands-off".to_owned(),
    };
    let site = Site {
        site_id: site_id.clone(),
        member_id,
        pv_peak: Power::from_w(line.pv_peak_w.unwrap_or(0)),
        battery_capacity: Energy::ZERO,
        battery_power: Power::ZERO,
    };
    let meter = Meter {
        meter_id: MeterId::new(&line.meter_id)?,
        site_id,
        agent_id: AgentId::new(&line.agent_id)?,
        template_id: line.template_id.clone(),
    };
    let zone = line.zone_id.as_deref().filter(|zone| !zone.is_empty()).map(ZoneId::new).transpose()?;
    Ok((member, site, meter, zone.unwrap_or_default()))
}

fn address(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix("0x").unwrap_or_default();
    if digits.len() != 40 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("chain_address {text:?} is not 0x and 40 hex digits"));
    }
    Ok(text.to_ascii_lowercase())
}

/// Enrols what is not enrolled yet, in the transaction that the caller began. An agent that has not announced its
/// key is entered without one: it counts once it has, and the operator has approved the fingerprint.
///
/// # Errors
/// [`RosterError::ZoneStays`] or, if the database refuses it, [`RosterError::Store`]; the caller then rolls back.
pub async fn enrol(
    db: &mut PgConnection,
    community: &CommunityId,
    entries: &[Entry],
) -> Result<(), RosterError> {
    for Entry { account, member } in entries {
        if let Some((member, site, meter, zone)) = member {
            members::insert(&mut *db, community, member).await?;
            members::insert_site(&mut *db, community, site).await?;
            if !zones::assign(&mut *db, community, &site.site_id, zone).await? {
                return Err(RosterError::ZoneStays { site: site.site_id.clone(), zone: zone.clone() });
            }
            agents::upsert_known(&mut *db, community, &meter.agent_id).await?;
            meters::insert(&mut *db, community, meter).await?;
        }
        members::insert_account(&mut *db, community, account).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "member_id,display_name,pseudonym,chain_address,site_id,pv_peak_w,meter_id,agent_id,template_id\n";
    const ADDRESS: &str = "0x00000000000000000000000000000000000000Aa";

    fn roster(lines: &str) -> Result<Vec<Entry>, RosterError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{HEADER}{lines}")).unwrap();
        read(file.path())
    }

    #[test]
    fn members_and_the_communitys_own_accounts_are_told_apart() {
        let lines = format!(
            "anna,Anna,Amsel,{ADDRESS},site-1,5000,meter-1,agent-1,eastron_sdm630\ngrid,,,{ADDRESS},,,,,\n"
        );
        let entries = roster(&lines).unwrap();
        assert_eq!(entries[0].account.chain_address, ADDRESS.to_ascii_lowercase());
        assert!(entries[0].member.is_some());
        assert_eq!((entries[1].account.kind.as_str(), &entries[1].member), ("grid", &None));
    }

    #[test]
    fn a_zone_is_named_or_the_main_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let header = HEADER.trim_end();
        let line =
            |site: usize, zone: &str| format!("m{site},M,P{site},{ADDRESS},s{site},0,x{site},a,t,{zone}\n");
        std::fs::write(file.path(), format!("{header},zone_id\n{}{}", line(1, "north"), line(2, "")))
            .unwrap();
        let zones: Vec<_> =
            read(file.path()).unwrap().into_iter().map(|entry| entry.member.unwrap().3).collect();
        assert_eq!(zones, [ZoneId::new("north").unwrap(), ZoneId::default()]);
        let many: String = (0..17).map(|site| line(site, &format!("zone-{site}"))).collect();
        std::fs::write(file.path(), format!("{header},zone_id\n{many}")).unwrap();
        assert!(read(file.path()).unwrap_err().to_string().contains("line 18: more than 16 zones"));
    }

    #[test]
    fn a_bad_line_is_named() {
        for (bad, named) in [
            ("anna,Anna,Amsel,0x12,s,0,m,a,t\n", "line 2"),
            (&format!("a b,Anna,Amsel,{ADDRESS},s,0,m,a,t\n"), "member id"),
            (&format!("anna,Anna,Amsel,{ADDRESS},s,-1,m,a,t\n"), "pv_peak_w"),
            ("anna,Anna\n", "line: 2"),
        ] {
            let error = roster(bad).unwrap_err().to_string();
            assert!(error.contains(named), "{named}: {error}");
        }
    }

    #[sqlx::test(migrator = "store::MIGRATOR")]
    async fn enrolling_twice_changes_nothing(pool: store::PgPool) {
        let config = crate::enrolment::CommunityConfig::default();
        let (community, _) = config.community(chrono::DateTime::UNIX_EPOCH).unwrap();
        store::communities::insert(&pool, &community).await.unwrap();
        let entries =
            roster(&format!("anna,Anna,Amsel,{ADDRESS},site-1,0,meter-1,agent-1,eastron_sdm630\n")).unwrap();
        for _ in 0..2 {
            let mut tx = pool.begin().await.unwrap();
            enrol(&mut tx, &community.community_id, &entries).await.unwrap();
            tx.commit().await.unwrap();
        }
        let meters = meters::all(&pool, &community.community_id).await.unwrap();
        assert_eq!(meters.len(), 1);
        assert_eq!(members::accounts(&pool, &community.community_id).await.unwrap().len(), 1);
    }

    #[sqlx::test(migrator = "store::MIGRATOR")]
    async fn a_site_that_takes_part_is_not_moved_in_silence(pool: store::PgPool) {
        store::views::fixtures::insert(&pool).await.unwrap();
        let demo = CommunityId::new("demo").unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = format!("anna,Anna,Amsel,{ADDRESS},a1,0,meter-a,agent-a,eastron_sdm630,north\n");
        std::fs::write(file.path(), format!("{},zone_id\n{line}", HEADER.trim_end())).unwrap();
        let mut tx = pool.begin().await.unwrap();
        let error = enrol(&mut tx, &demo, &read(file.path()).unwrap()).await.unwrap_err().to_string();
        assert!(error.contains("puts site a1 into the zone north"), "{error}");
    }
}
