//! Storing commands of many requests together: what arrives while one transaction is under way goes into the next.
//!
//! A commit costs the same for one command as for hundreds. Every request is answered after the commit
//! that holds its commands, never before.

use std::collections::HashMap;

use domain::ids::CommunityId;
use domain::slot::Slot;
use store::PgPool;
use store::communities::{self, Community};
use store::views::commands::{self, NewCommand, RequestKey, Sent};
use tokio::sync::{mpsc, oneshot};

use crate::error::ApiError;
use crate::problems;
use crate::wire::{YEARS_ONLY, is_keepable};

/// How many requests may wait to be stored.
const MAX_WAITING: usize = 4_096;
/// How many commands one transaction stores, of requests without a key.
const MAX_COMMANDS: usize = 500;

/// The way in for commands.
#[derive(Debug, Clone)]
pub(crate) struct Inbox(mpsc::Sender<Post>);

/// What is received, to be stored.
#[derive(Debug)]
pub(crate) struct Waiting(mpsc::Receiver<Post>);

/// What became of a command, or why it was not taken.
pub(crate) type Answer = Result<Sent, ApiError>;

#[derive(Debug)]
struct Post {
    community: CommunityId,
    commands: Vec<NewCommand>,
    key: Option<RequestKey>,
    answer: oneshot::Sender<Result<Vec<Answer>, ApiError>>,
}

/// An empty inbox, and its other end for [`Waiting::store_all`].
pub(crate) fn inbox() -> (Inbox, Waiting) {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    (Inbox(sender), Waiting(receiver))
}

impl Inbox {
    /// Stores commands of one request; answers in their order once they are committed.
    ///
    /// # Errors
    /// A problem of the whole request; then nothing of it is stored.
    pub(crate) async fn store(
        &self,
        community: CommunityId,
        commands: Vec<NewCommand>,
        key: Option<RequestKey>,
    ) -> Result<Vec<Answer>, ApiError> {
        let (answer, answered) = oneshot::channel();
        let busy = || ApiError::new(problems::BUSY, "too many orders wait to be stored");
        self.0.try_send(Post { community, commands, key, answer }).map_err(|_| busy())?;
        answered.await.map_err(|_| busy())?
    }
}

impl Waiting {
    /// Stores what arrives until every [`Inbox`] is gone.
    pub(crate) async fn store_all(mut self, pool: PgPool) {
        let mut posts = Vec::new();
        while self.0.recv_many(&mut posts, MAX_COMMANDS).await > 0 {
            let mut together: HashMap<CommunityId, Vec<Post>> = HashMap::new();
            for post in posts.drain(..) {
                if post.key.is_some() {
                    let answer = store_keyed(&pool, &post).await;
                    // Whoever asked may be gone; the commands are stored all the same.
                    let _ = post.answer.send(answer);
                } else {
                    together.entry(post.community.clone()).or_default().push(post);
                }
            }
            for (community, posts) in together {
                store_together(&pool, &community, posts).await;
            }
        }
    }
}

/// Stores one request in a transaction of its own, its key included.
async fn store_keyed(pool: &PgPool, post: &Post) -> Result<Vec<Answer>, ApiError> {
    let Some(key) = &post.key else { return Ok(vec![]) };
    let community = find(pool, &post.community).await?;
    let (good, refused) = split(&community, post.commands.clone());
    let sent = commands::send_request(pool, &community.community_id, key, &good).await?;
    let sent = sent.ok_or_else(|| {
        let detail = format!("the key {:?} was used before for another request", key.key);
        ApiError::new(problems::KEY_REUSED, detail)
    })?;
    Ok(merge(sent, refused))
}

/// Stores the commands of several requests in one transaction, and answers each.
async fn store_together(pool: &PgPool, community: &CommunityId, posts: Vec<Post>) {
    let counts: Vec<usize> = posts.iter().map(|post| post.commands.len()).collect();
    let (mut all, mut askers) = (Vec::new(), Vec::new());
    for post in posts {
        all.extend(post.commands);
        askers.push(post.answer);
    }
    let stored = async {
        let community = find(pool, community).await?;
        let (good, refused) = split(&community, all);
        let sent = commands::send_all(pool, &community.community_id, &good).await?;
        Ok::<_, ApiError>(merge(sent, refused))
    };
    let stored = stored.await;
    let mut answers = stored.as_ref().map(|answers| answers.iter().cloned()).map_err(ApiError::clone);
    for (asker, count) in askers.into_iter().zip(counts) {
        let answer = match &mut answers {
            Ok(answers) => Ok(answers.by_ref().take(count).collect()),
            Err(error) => Err(error.clone()),
        };
        let _ = asker.send(answer);
    }
}

async fn find(pool: &PgPool, id: &CommunityId) -> Result<Community, ApiError> {
    communities::find(pool, id).await?.ok_or_else(|| crate::routes::unknown_community(id.as_str()))
}

/// The commands for slots that can exist, and the places and problems of the others.
fn split(community: &Community, all: Vec<NewCommand>) -> (Vec<NewCommand>, Vec<(usize, ApiError)>) {
    let (mut good, mut refused) = (Vec::with_capacity(all.len()), Vec::new());
    for (place, command) in all.into_iter().enumerate() {
        let slot = Slot::starting_at(command.slot_start, community.slot_length);
        let problem = match slot {
            // One command that the database cannot hold would take all that are stored with it along.
            Ok(_) if !is_keepable(command.slot_start) => YEARS_ONLY.to_owned(),
            Ok(_) => {
                good.push(command);
                continue;
            }
            Err(error) => error.to_string(),
        };
        refused.push((place, ApiError::new(problems::INVALID_SLOT, problem)));
    }
    (good, refused)
}

/// The answers in the order of asking; the refused are sorted by their place.
fn merge(sent: Vec<Sent>, refused: Vec<(usize, ApiError)>) -> Vec<Answer> {
    let mut answers: Vec<Answer> = sent.into_iter().map(Ok).collect();
    for (place, problem) in refused {
        answers.insert(place, Err(problem));
    }
    answers
}
