// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {SignedMath} from "@openzeppelin/contracts/utils/math/SignedMath.sol";
import {Positions} from "./Positions.sol";
import {Settlement} from "./Settlement.sol";

/// @title Settlement of a batch too large for one block
/// @notice The positions come in chunks. What debtors owe is held by this contract until every chunk is there; then the
/// settler decides, at once for all: `finaliseBatch`, and the creditors are paid, or `abandonBatch`, and the debtors get it
/// back.
///
/// ```
///        openBatch        pushChunk each      finaliseBatch      releaseChunk each (anyone)
/// None ------------> Collecting ------------------------> Paying --------------------------> None, settled
///                        |   abandonBatch, or expireBatch (anyone, after BATCH_LIFETIME)
///                        '------------------------------> Returning -----------------------> None, as before openBatch
///                                                                 releaseChunk each (anyone)
/// ```
///
/// Requirements
/// 1. All or nothing: after `openBatch` each account ends with what it held plus its position, or, the batch abandoned, with
///    what it held.
/// 2. Which chunks make the batch is fixed by `openBatch` (their hashes): no later call can bring another position in.
/// 3. No creditor is paid before every debtor has paid and the positions are known to ascend and to sum to zero.
/// 4. Once it is finalised or abandoned, the rest needs nobody's leave and cannot fail but by the pause: anyone may release
///    the chunks, whose content is on the chain, in the calls of `pushChunk`.
/// 5. From `openBatch` to the end no withdrawal is paid and no other batch begins. So nobody leaves with what a later chunk
///    takes, and nobody's payout falls short of what is held and comes back.
/// 6. A batch that nobody finalises ends: after `BATCH_LIFETIME` anyone may return it.
/// 7. No call needs more gas than one transaction of EIP-7825 has (2^24): chunks and their number are bounded by what the
///    dearest release needs, where every account is paid its first credit.
/// 8. What is held is this contract's own balance. It is zero when no batch is in progress.
abstract contract ChunkedSettlement is Settlement {
    using Positions for bytes32;

    struct Progress {
        bytes32 statementRoot;
        int256 sum; // of the positions pushed
        uint64 slotFrom;
        uint64 slotTo;
        uint64 expiresAt;
        uint16 chunkCount;
        uint16 pushed; // chunks
        uint16 released; // chunks
        address lastAccount; // of the positions pushed
        uint64 positionCount; // pushed
    }

    /// @notice The most chunks a batch can have.
    uint256 public constant MAX_CHUNKS = 256;

    /// @notice The most positions a chunk can have.
    uint256 public constant MAX_CHUNK_POSITIONS = 500;

    /// @notice Seconds from `openBatch` to the time from which anyone may return a batch that is not finalised.
    uint64 public constant BATCH_LIFETIME = 1 days;

    Progress private _progress;

    /// @dev Overwritten by the next batch; what is at or above `chunkCount` is of an earlier one.
    mapping(uint256 index => bytes32) private _chunkHashes;

    /// @notice Opens a batch in chunks. Settler only.
    /// @param batchId As for `settle`. After `BatchReturned` it can be opened or settled again.
    /// @param slotFrom Start of the first slot of the batch, Unix seconds.
    /// @param slotTo End of the last slot, Unix seconds, above `slotFrom`.
    /// @param statementRoot Merkle root over the members' salted statements, not zero.
    /// @param chunkHashes Of each chunk the keccak256 of its positions, one word after the other; 1 to `MAX_CHUNKS`.
    function openBatch(
        bytes32 batchId,
        uint64 slotFrom,
        uint64 slotTo,
        bytes32 statementRoot,
        bytes32[] calldata chunkHashes
    ) external restricted whenNotPaused {
        _requireNewBatch(batchId, slotFrom, slotTo, statementRoot);
        uint256 chunkCount = chunkHashes.length;
        if (chunkCount == 0 || chunkCount > MAX_CHUNKS) revert InvalidChunkCount(chunkCount);
        uint64 expiresAt = SafeCast.toUint64(block.timestamp) + BATCH_LIFETIME;
        (_phase, _batchId) = (BatchPhase.Collecting, batchId);
        _progress = Progress({
            statementRoot: statementRoot,
            sum: 0,
            slotFrom: slotFrom,
            slotTo: slotTo,
            expiresAt: expiresAt,
            chunkCount: SafeCast.toUint16(chunkCount),
            pushed: 0,
            released: 0,
            lastAccount: address(0),
            positionCount: 0
        });
        for (uint256 i = 0; i < chunkCount; ++i) {
            _chunkHashes[i] = chunkHashes[i];
        }
        emit BatchOpened(batchId, slotFrom, slotTo, statementRoot, chunkCount, expiresAt);
    }

    /// @notice Takes what a chunk's debtors owe and holds it. Settler only. If a debtor holds too little, nothing of the chunk
    /// is taken; give the batch up, cap the position and open it anew.
    /// @param index The chunk, from zero. In order, so that a call sent twice is refused.
    /// @param positions Packed as `Positions` says, accounts strictly ascending, above those of the chunk before; at most
    /// `MAX_CHUNK_POSITIONS`.
    function pushChunk(bytes32 batchId, uint256 index, bytes32[] calldata positions)
        external
        restricted
        whenNotPaused
    {
        _requirePhase(batchId, BatchPhase.Collecting);
        Progress storage progress = _progress;
        if (index >= progress.chunkCount) revert UnexpectedChunk(index, progress.pushed);
        _requireChunk(index, progress.pushed, positions);
        if (positions.length > MAX_CHUNK_POSITIONS) revert ChunkTooLarge(positions.length);
        (int256 sum, address last) = Positions.sumAscending(positions, progress.lastAccount);
        progress.sum += sum;
        progress.lastAccount = last;
        progress.positionCount += SafeCast.toUint64(positions.length);
        progress.pushed += 1;
        _holdDebits(positions);
        emit ChunkPushed(batchId, index, positions.length);
    }

    /// @notice Decides the batch: from here on it cannot be abandoned, and `releaseChunk` pays its creditors. Settler only.
    function finaliseBatch(bytes32 batchId) external restricted whenNotPaused {
        _requirePhase(batchId, BatchPhase.Collecting);
        Progress storage progress = _progress;
        if (progress.pushed != progress.chunkCount) {
            revert BatchIncomplete(progress.pushed, progress.chunkCount);
        }
        if (progress.sum != 0) revert Positions.PositionsNotBalanced(progress.sum);
        _phase = BatchPhase.Paying;
        emit BatchFinalised(batchId);
    }

    /// @notice Gives the batch up: `releaseChunk` gives its debtors back what they paid. Settler only, until it is finalised;
    /// also while paused, since nothing moves by this.
    function abandonBatch(bytes32 batchId) external restricted {
        _requirePhase(batchId, BatchPhase.Collecting);
        _abandon(batchId, false);
    }

    /// @notice Gives a batch up whose time is over and that is not finalised. Anyone may.
    function expireBatch(bytes32 batchId) external {
        _requirePhase(batchId, BatchPhase.Collecting);
        uint64 expiresAt = _progress.expiresAt;
        // The seconds by which a block's time can be off do not matter against the lifetime.
        // forge-lint: disable-next-line(block-timestamp)
        if (block.timestamp < expiresAt) revert BatchNotExpired(batchId, expiresAt);
        _abandon(batchId, true);
    }

    /// @notice Gives out what is held for a chunk: finalised, to its creditors; abandoned, to its debtors. With the last chunk
    /// the batch is settled, or returned. Anyone may, in the order of the chunks.
    /// @param index The chunk, from zero.
    /// @param positions As they were pushed.
    function releaseChunk(bytes32 batchId, uint256 index, bytes32[] calldata positions)
        external
        whenNotPaused
    {
        BatchPhase phase = _phase;
        // Whichever of the two it is; before them nothing is given out.
        _requirePhase(batchId, phase == BatchPhase.Paying ? phase : BatchPhase.Returning);
        Progress storage progress = _progress;
        _requireChunk(index, progress.released, positions);
        progress.released += 1;
        _giveOut(positions, phase == BatchPhase.Paying);
        emit ChunkReleased(batchId, index);
        if (progress.released == progress.pushed) _close(batchId, phase);
    }

    /// @notice The batch in progress. All zero if there is none.
    /// @return batchId Its id.
    /// @return phase How far it has come.
    /// @return chunkCount Number of its chunks.
    /// @return pushed Number of chunks pushed: the next is this one.
    /// @return released Number of chunks released: the next is this one.
    /// @return expiresAt From this time on anyone may end it, unless it is finalised.
    function batchInProgress()
        external
        view
        returns (
            bytes32 batchId,
            BatchPhase phase,
            uint256 chunkCount,
            uint256 pushed,
            uint256 released,
            uint64 expiresAt
        )
    {
        phase = _phase;
        if (phase != BatchPhase.None) {
            Progress storage progress = _progress;
            (batchId, chunkCount, pushed) = (_batchId, progress.chunkCount, progress.pushed);
            (released, expiresAt) = (progress.released, progress.expiresAt);
        }
    }

    // ---- inside

    function _requirePhase(bytes32 batchId, BatchPhase expected) private view {
        BatchPhase phase = _phase;
        if (phase == BatchPhase.None) revert NotTheBatchInProgress(batchId, 0);
        if (batchId != _batchId) revert NotTheBatchInProgress(batchId, _batchId);
        if (phase != expected) revert WrongBatchPhase(batchId, phase);
    }

    function _requireChunk(uint256 index, uint256 expected, bytes32[] calldata positions) private view {
        if (index != expected) revert UnexpectedChunk(index, expected);
        bytes32 hash = _chunkHashes[index];
        if (keccak256(abi.encodePacked(positions)) != hash) revert WrongChunk(index, hash);
    }

    /// @dev Refuses here whatever could make the release fail. What is held is added up and written once.
    function _holdDebits(bytes32[] calldata positions) private {
        uint256 held = 0;
        for (uint256 i = 0; i < positions.length; ++i) {
            address account = positions[i].account();
            // It would pay with what it holds for others, or be paid what nobody could take out.
            if (account == address(this)) revert InvalidAccount(account);
            int256 amount = positions[i].amount();
            if (amount >= 0) continue;
            uint256 owed = SignedMath.abs(amount);
            _takeFromDebtor(account, owed);
            held += owed;
            emit Transfer(account, address(this), owed);
        }
        _give(address(this), held);
    }

    function _giveOut(bytes32[] calldata positions, bool toCreditors) private {
        uint256 given = 0;
        for (uint256 i = 0; i < positions.length; ++i) {
            int256 amount = positions[i].amount();
            if (amount == 0 || (amount > 0) != toCreditors) continue;
            uint256 part = SignedMath.abs(amount);
            address account = positions[i].account();
            _give(account, part);
            given += part;
            emit Transfer(address(this), account, part);
        }
        // What was pushed for them is there: this cannot fail while requirement 8 holds.
        if (!_take(address(this), given)) {
            revert ERC20InsufficientBalance(address(this), balanceOf(address(this)), given);
        }
    }

    function _abandon(bytes32 batchId, bool expired) private {
        _phase = BatchPhase.Returning;
        emit BatchAbandoned(batchId, expired);
        if (_progress.pushed == 0) _close(batchId, BatchPhase.Returning);
    }

    function _close(bytes32 batchId, BatchPhase phase) private {
        _phase = BatchPhase.None;
        if (phase == BatchPhase.Returning) {
            emit BatchReturned(batchId);
            return;
        }
        Progress storage progress = _progress;
        bytes32 root = progress.statementRoot;
        _statementRoots[batchId] = root;
        emit BatchSettled(batchId, progress.slotFrom, progress.slotTo, root, progress.positionCount);
    }
}
