// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The errors and events of a settlement in chunks
/// @notice See `ChunkedSettlement`. Amounts are in the base unit of the currency token, times in Unix seconds.
interface IChunkedSettlement {
    /// @notice How far the batch in progress has come. Its number is part of the ABI.
    enum BatchPhase {
        /// 0: no batch is in progress.
        None,
        /// 1: debits are pushed and held; nothing is decided.
        Collecting,
        /// 2: finalised; what is held goes to the creditors.
        Paying,
        /// 3: abandoned; what is held goes back to the debtors.
        Returning
    }

    /// @notice A batch was opened.
    /// @param batchId The batch's id, chosen by the settler.
    /// @param slotFrom Start of the first slot.
    /// @param slotTo End of the last slot; the range is half-open.
    /// @param statementRoot Merkle root over the members' salted statements; stored when the batch is settled.
    /// @param chunkCount Number of chunks that make the batch.
    /// @param expiresAt From this time on anyone may end the batch, unless it is finalised.
    event BatchOpened(
        bytes32 indexed batchId,
        uint64 slotFrom,
        uint64 slotTo,
        bytes32 statementRoot,
        uint256 chunkCount,
        uint64 expiresAt
    );

    /// @notice A chunk's debits are held.
    /// @param batchId The batch.
    /// @param index The chunk, from zero.
    /// @param positionCount Number of positions in it.
    event ChunkPushed(bytes32 indexed batchId, uint256 index, uint256 positionCount);

    /// @notice The batch is decided: its creditors will be paid and nobody can undo it.
    event BatchFinalised(bytes32 indexed batchId);

    /// @notice The batch will not be settled: its debtors get back what is held.
    /// @param batchId The batch.
    /// @param expired True if its time was over, false if the settler gave it up.
    event BatchAbandoned(bytes32 indexed batchId, bool expired);

    /// @notice What is held for a chunk was given out: to its creditors or, after `BatchAbandoned`, to its debtors.
    /// @param batchId The batch.
    /// @param index The chunk, from zero.
    event ChunkReleased(bytes32 indexed batchId, uint256 index);

    /// @notice An abandoned batch is at its end: every debtor has its credits back and the id can be used again.
    event BatchReturned(bytes32 indexed batchId);

    /// @notice A batch is in progress. Bring it to its end first; see `batchInProgress`.
    error BatchInProgress(bytes32 batchId);

    /// @notice The batch in progress is another one, or there is none (then its id is zero).
    error NotTheBatchInProgress(bytes32 batchId, bytes32 inProgress);

    /// @notice The call does not fit how far the batch in progress has come.
    error WrongBatchPhase(bytes32 batchId, BatchPhase phase);

    /// @notice A batch has 1 to `MAX_CHUNKS` chunks.
    error InvalidChunkCount(uint256 count);

    /// @notice The chunk has more than `MAX_CHUNK_POSITIONS` positions. Cut the batch smaller.
    error ChunkTooLarge(uint256 positionCount);

    /// @notice Chunks are taken in order: the next one is `expected`. If it is above the one that was sent, that one is done.
    /// If it equals the number of chunks, all are pushed.
    error UnexpectedChunk(uint256 index, uint256 expected);

    /// @notice The positions are not those whose hash the batch was opened with.
    error WrongChunk(uint256 index, bytes32 expectedHash);

    /// @notice Not all chunks are pushed.
    error BatchIncomplete(uint256 pushed, uint256 chunkCount);

    /// @notice Before `expiresAt` the settler alone may end the batch.
    error BatchNotExpired(bytes32 batchId, uint64 expiresAt);
}
