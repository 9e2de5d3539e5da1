//! The roster: who takes part in a community, from a file that an operator writes.
//!
//! Columns `member_id,display_name,pseudonym,chain_address,site_id,pv_peak_w,meter_id,agent_id,template_id`,
//! one line a site. Optional columns are `zone_id` (`main` where it is left out), and `battery_wh` and `battery_w` of sites with a
//! battery. The community's own accounts are lines with `grid`, `network`, `platform` or `reserve` as `member_id`, a
//! `chain_address`, and nothing else.

mod enrolled;

use std::collections::BTreeSet;
use std::path::Path;

use domain::fees::MAX_ZONES;
use domain::ids::{AccountId, AgentId, CommunityId, InvalidId, MemberId, MeterId, SiteId, ZoneId};
use domain::units::{Energy, Power};
use serde::Deserialize;
use store::members::{self, Account, Member, Site};
use store::meters::{self, Meter};
use store::{PgConnection, StoreError, agents, zones};

use enrolled::Enrolled;

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
    #[serde(default)]
    battery_wh: Option<i64>,
    #[serde(default)]
    battery_w: Option<i64>,
}

/// What a line enrols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its line in the file.
    line: usize,
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
        let entry = entry(number, line.map_err(of_file)?).map_err(|reason| wrong(number, reason))?;
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

fn entry(number: usize, line: Line) -> Result<Entry, String> {
    let chain_address = address(&line.chain_address)?;
    if matches!(line.member_id.as_str(), "grid" | "network" | "platform" | "reserve") {
        let account_id = AccountId::new(&line.member_id).map_err(|error| error.to_string())?;
        return Ok(Entry {
            line: number,
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
    let (battery_wh, battery_w) = (line.battery_wh.unwrap_or(0), line.battery_w.unwrap_or(0));
    if battery_wh < 0 || battery_w < 0 || (battery_wh == 0) != (battery_w == 0) {
        return Err("battery_wh and battery_w go together: give both, or leave both empty".to_owned());
    }
    Ok(Entry {
        line: number,
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
        battery_capacity: Energy::from_wh(line.battery_wh.unwrap_or(0)),
        battery_power: Power::from_w(line.battery_w.unwrap_or(0)),
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

/// What became of a roster's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Lines that enrolled something.
    pub new: usize,
    /// Lines that were enrolled already, as they are.
    pub unchanged: usize,
}

/// Enrols what is not enrolled yet, in the transaction that the caller began. An agent that has not announced its
/// key is entered without one: it counts once it has, and the operator has approved the fingerprint.
///
/// # Errors
/// [`RosterError::Line`] for a line that says something else than what is enrolled, [`RosterError::ZoneStays`] or, if
/// the database refuses it, [`RosterError::Store`]; the caller then rolls back.
pub async fn enrol(
    db: &mut PgConnection,
    community: &CommunityId,
    entries: &[Entry],
) -> Result<Counts, RosterError> {
    let mut enrolled = Enrolled::read(&mut *db, community).await?;
    let mut counts = Counts::default();
    for entry in entries {
        let is_new = enrolled.take(entry).map_err(|reason| wrong(entry.line, reason))?;
        *if is_new { &mut counts.new } else { &mut counts.unchanged } += 1;
        if let Some((member, site, meter, zone)) = &entry.member {
            members::insert(&mut *db, community, member).await?;
            members::insert_site(&mut *db, community, site).await?;
            if !zones::assign(&mut *db, community, &site.site_id, zone).await? {
                return Err(RosterError::ZoneStays { site: site.site_id.clone(), zone: zone.clone() });
            }
            agents::upsert_known(&mut *db, community, &meter.agent_id).await?;
            meters::insert(&mut *db, community, meter).await?;
        }
        members::insert_account(&mut *db, community, &entry.account).await?;
    }
    Ok(counts)
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
            ("grid,,,0x1,,,,,\n", "chain_address"),
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
        for new in [1, 0] {
            let mut tx = pool.begin().await.unwrap();
            let counts = enrol(&mut tx, &community.community_id, &entries).await.unwrap();
            assert_eq!(counts, Counts { new, unchanged: 1 - new });
            tx.commit().await.unwrap();
        }
        let meters = meters::all(&pool, &community.community_id).await.unwrap();
        assert_eq!(meters.len(), 1);
        assert_eq!(members::accounts(&pool, &community.community_id).await.unwrap().len(), 1);
    }

    #[sqlx::test(migrator = "store::MIGRATOR")]
    async fn a_line_that_says_something_else_than_what_is_enrolled_is_refused(pool: store::PgPool) {
        let config = crate::enrolment::CommunityConfig::default();
        let (community, _) = config.community(chrono::DateTime::UNIX_EPOCH).unwrap();
        store::communities::insert(&pool, &community).await.unwrap();
        let anna = |name: &str, address: &str, pv: &str, template: &str| {
            format!("anna,{name},Amsel,{address},site-1,{pv},meter-1,agent-1,{template}\n")
        };
        let usual = anna("Anna", ADDRESS, "5000", "eastron_sdm630");
        let mut tx = pool.begin().await.unwrap();
        enrol(&mut tx, &community.community_id, &roster(&usual).unwrap()).await.unwrap();
        tx.commit().await.unwrap();
        let other = ADDRESS.replace("Aa", "Bb");
        for (line, named) in [
            (
                anna("Anne", ADDRESS, "5000", "eastron_sdm630"),
                "display_name of member anna is \"Anne\", but \"Anna\"",
            ),
            (anna("Anna", &other, "5000", "eastron_sdm630"), "chain_address of account anna is"),
            (
                anna("Anna", ADDRESS, "6000", "eastron_sdm630"),
                "pv_peak_w of site site-1 is \"6000\", but \"5000\"",
            ),
            (anna("Anna", ADDRESS, "5000", "sunspec"), "template_id of meter meter-1 is \"sunspec\""),
            (usual.replace("site-1", "site-2"), "site_id of meter meter-1 is \"site-2\", but \"site-1\""),
            (usual.replace("meter-1", "meter-2"), "site site-1 has the meter meter-1 already"),
            (
                format!("ben,Ben,Amsel,{other},site-2,0,meter-2,agent-1,sunspec\n"),
                "pseudonym \"Amsel\" is that of member anna",
            ),
        ] {
            let mut tx = pool.begin().await.unwrap();
            let entries = roster(&format!("{usual}{line}")).unwrap();
            let error = enrol(&mut tx, &community.community_id, &entries).await.unwrap_err().to_string();
            assert!(error.contains("line 3: ") && error.contains(named), "{named}: {error}");
        }
    }

    #[test]
    fn a_battery_has_an_energy_and_a_power() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let with = |cells: &str| {
            let header = HEADER.trim_end();
            let line = format!("anna,Anna,Amsel,{ADDRESS},s,0,m,a,t,{cells}\n");
            std::fs::write(file.path(), format!("{header},battery_wh,battery_w\n{line}")).unwrap();
            read(file.path())
        };
        let site = with("10000,5000").unwrap().remove(0).member.unwrap().1;
        assert_eq!((site.battery_capacity.wh(), site.battery_power.w()), (10_000, 5_000));
        assert!(with(",").unwrap().remove(0).member.unwrap().1.battery_capacity.is_zero());
        for half in ["10000,", "0,5000", "-1,-1"] {
            assert!(
                with(half).unwrap_err().to_string().contains("line 2: battery_wh and battery_w"),
                "{half}"
            );
        }
    }

    #[sqlx::test(migrator = "store::MIGRATOR")]
    async fn a_site_that_takes_part_is_not_moved_in_silence(pool: store::PgPool) {
        store::views::fixtures::insert(&pool).await.unwrap();
        let demo = CommunityId::new("demo").unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let address = "0x00000000000000000000000000000000000000a1";
        let line = format!(
            "anna,Anna Ahorn,Amber Kite,{address},a1,5000,m-a1,agent-1,sunspec_inverter_meter,8000,3000,north\n"
        );
        let header = format!("{},battery_wh,battery_w,zone_id", HEADER.trim_end());
        std::fs::write(file.path(), format!("{header}\n{line}")).unwrap();
        let mut tx = pool.begin().await.unwrap();
        let error = enrol(&mut tx, &demo, &read(file.path()).unwrap()).await.unwrap_err().to_string();
        assert!(error.contains("puts site a1 into the zone north"), "{error}");
    }
}
