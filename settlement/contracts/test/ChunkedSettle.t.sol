// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {IChunkedSettlement} from "../src/IChunkedSettlement.sol";
import {IEnergyCredit} from "../src/IEnergyCredit.sol";
import {Positions} from "../src/Positions.sol";
import {ChunkedTest} from "./base/ChunkedTest.sol";
import {vm} from "./base/Vm.sol";

/// @dev A batch of four positions in two chunks, and everything that may happen on its way.
contract ChunkedSettleTest is ChunkedTest {
    // Above the others.
    address private constant DORA = address(0xD0A0000000);
    bytes32 private constant OTHER = keccak256("batch 2");

    function setUp() public override {
        super.setUp();
        fund(ALICE, 100);
        fund(BOB, 100);
        fund(CAROL, 100);
        fund(DORA, 100);
        cut(four(30, -20, 40, -50), 2);
    }

    function four(int96 alice, int96 bob, int96 carol, int96 dora)
        private
        pure
        returns (bytes32[] memory positions)
    {
        positions = new bytes32[](4);
        positions[0] = position(ALICE, alice);
        positions[1] = position(BOB, bob);
        positions[2] = position(CAROL, carol);
        positions[3] = position(DORA, dora);
    }

    function assertBalances(uint256 alice, uint256 bob, uint256 carol, uint256 dora) private view {
        assertCredit(ALICE, alice, "alice");
        assertCredit(BOB, bob, "bob");
        assertCredit(CAROL, carol, "carol");
        assertCredit(DORA, dora, "dora");
        assertHeld(400 - alice - bob - carol - dora);
    }

    // ---- the way through

    function test_creditorsArePaidWhenAllDebtorsHavePaid() public {
        open(BATCH);
        assertBalances(100, 100, 100, 100);
        expectTransfer(BOB, address(credit), 20);
        push(BATCH, 0);
        assertBalances(100, 80, 100, 100);
        push(BATCH, 1);
        assertBalances(100, 80, 100, 50);
        finalise(BATCH);
        assertBalances(100, 80, 100, 50);
        expectTransfer(address(credit), ALICE, 30);
        release(BATCH, 0);
        assertBalances(130, 80, 100, 50);
        vm.assertFalse(credit.isSettled(BATCH), "half is not settled");
        release(BATCH, 1);
        assertBalances(130, 80, 140, 50);
        vm.assertEq(credit.settledRoot(BATCH), ROOT, "root");
        vm.assertTrue(credit.verifyReceipt(BATCH, ROOT, new bytes32[](0)), "receipt");
        assertPhase(IChunkedSettlement.BatchPhase.None);
    }

    function test_everyStepIsAnEvent() public {
        vm.warp(1000);
        vm.expectEmit(address(credit));
        emit IChunkedSettlement.BatchOpened(
            BATCH, SLOT_FROM, SLOT_TO, ROOT, 2, 1000 + credit.BATCH_LIFETIME()
        );
        open(BATCH);
        vm.expectEmit(address(credit));
        emit IChunkedSettlement.ChunkPushed(BATCH, 0, 2);
        push(BATCH, 0);
        push(BATCH, 1);
        vm.expectEmit(address(credit));
        emit IChunkedSettlement.BatchFinalised(BATCH);
        finalise(BATCH);
        release(BATCH, 0);
        vm.expectEmit(address(credit));
        emit IChunkedSettlement.ChunkReleased(BATCH, 1);
        vm.expectEmit(address(credit));
        emit IEnergyCredit.BatchSettled(BATCH, SLOT_FROM, SLOT_TO, ROOT, 4);
        release(BATCH, 1);
    }

    function test_progressCanBeRead() public {
        vm.warp(1000);
        assertProgress(0, IChunkedSettlement.BatchPhase.None, 0, 0, 0, 0);
        uint64 expiresAt = 1000 + credit.BATCH_LIFETIME();
        open(BATCH);
        push(BATCH, 0);
        assertProgress(BATCH, IChunkedSettlement.BatchPhase.Collecting, 2, 1, 0, expiresAt);
        push(BATCH, 1);
        finalise(BATCH);
        release(BATCH, 0);
        assertProgress(BATCH, IChunkedSettlement.BatchPhase.Paying, 2, 2, 1, expiresAt);
        release(BATCH, 1);
        assertProgress(0, IChunkedSettlement.BatchPhase.None, 0, 0, 0, 0);
    }

    function assertProgress(
        bytes32 id,
        IChunkedSettlement.BatchPhase phase,
        uint256 chunkCount,
        uint256 pushed,
        uint256 released,
        uint64 expiresAt
    ) private view {
        (bytes32 a, IChunkedSettlement.BatchPhase b, uint256 c, uint256 d, uint256 e, uint64 f) =
            credit.batchInProgress();
        vm.assertEq(a, id, "id");
        vm.assertEq(uint256(b), uint256(phase), "phase");
        vm.assertEq(c, chunkCount, "chunks");
        vm.assertEq(d, pushed, "pushed");
        vm.assertEq(e, released, "released");
        vm.assertEq(f, expiresAt, "expires at");
    }

    // ---- once

    function test_settledBatchIsNotOpened() public {
        settle(BATCH, pair(ALICE, BOB, 1));
        vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.BatchAlreadySettled.selector, BATCH));
        open(BATCH);
    }

    function test_batchOfChunksIsSettledOnce() public {
        open(BATCH);
        pushAll(BATCH);
        finalise(BATCH);
        releaseAll(BATCH);
        vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.BatchAlreadySettled.selector, BATCH));
        open(BATCH);
        vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.BatchAlreadySettled.selector, BATCH));
        settle(BATCH, pair(ALICE, BOB, 1));
    }

    function test_oneBatchAtATime() public {
        open(BATCH);
        expectInProgress();
        push(BATCH, 0);
        push(BATCH, 1);
        expectInProgress();
        finalise(BATCH);
        expectInProgress();
        releaseAll(BATCH);
        open(OTHER);
    }

    function expectInProgress() private {
        bytes memory reason = abi.encodeWithSelector(IChunkedSettlement.BatchInProgress.selector, BATCH);
        vm.expectRevert(reason);
        open(OTHER);
        vm.expectRevert(reason);
        settle(OTHER, pair(ALICE, BOB, 1));
        vm.expectRevert(reason);
        settle(BATCH, pair(ALICE, BOB, 1));
    }

    // ---- given up

    function test_abandonedBatchLeavesNobodyChanged() public {
        open(BATCH);
        pushAll(BATCH);
        vm.expectEmit(address(credit));
        emit IChunkedSettlement.BatchAbandoned(BATCH, false);
        abandon(BATCH);
        expectTransfer(address(credit), BOB, 20);
        release(BATCH, 0);
        vm.expectEmit(address(credit));
        emit IChunkedSettlement.BatchReturned(BATCH);
        release(BATCH, 1);
        assertBalances(100, 100, 100, 100);
        vm.assertFalse(credit.isSettled(BATCH), "not settled");
        settle(BATCH, pair(ALICE, BOB, 1));
    }

    function test_onlyPushedChunksAreReturned() public {
        open(BATCH);
        push(BATCH, 0);
        abandon(BATCH);
        release(BATCH, 0);
        assertBalances(100, 100, 100, 100);
        assertPhase(IChunkedSettlement.BatchPhase.None);
        open(BATCH);
        pushAll(BATCH);
        finalise(BATCH);
        releaseAll(BATCH);
        assertBalances(130, 80, 140, 50);
    }

    function test_batchWithoutChunksPushedEndsAtOnce() public {
        open(BATCH);
        vm.expectEmit(address(credit));
        emit IChunkedSettlement.BatchReturned(BATCH);
        abandon(BATCH);
        assertPhase(IChunkedSettlement.BatchPhase.None);
    }

    function test_finalisedBatchIsNotGivenUp() public {
        open(BATCH);
        pushAll(BATCH);
        finalise(BATCH);
        vm.warp(block.timestamp + credit.BATCH_LIFETIME());
        expectWrongPhase(IChunkedSettlement.BatchPhase.Paying);
        abandon(BATCH);
        expectWrongPhase(IChunkedSettlement.BatchPhase.Paying);
        credit.expireBatch(BATCH);
        releaseAll(BATCH);
        assertBalances(130, 80, 140, 50);
    }

    function test_abandonedBatchIsNotFinalised() public {
        open(BATCH);
        pushAll(BATCH);
        abandon(BATCH);
        expectWrongPhase(IChunkedSettlement.BatchPhase.Returning);
        finalise(BATCH);
        expectWrongPhase(IChunkedSettlement.BatchPhase.Returning);
        push(BATCH, 1);
    }

    function expectWrongPhase(IChunkedSettlement.BatchPhase phase) private {
        vm.expectRevert(abi.encodeWithSelector(IChunkedSettlement.WrongBatchPhase.selector, BATCH, phase));
    }

    function test_anyoneEndsABatchAfterItsLifetime() public {
        vm.warp(1000);
        uint64 expiresAt = 1000 + credit.BATCH_LIFETIME();
        open(BATCH);
        push(BATCH, 0);
        vm.warp(expiresAt - 1);
        vm.expectRevert(abi.encodeWithSelector(IChunkedSettlement.BatchNotExpired.selector, BATCH, expiresAt));
        vm.prank(ALICE);
        credit.expireBatch(BATCH);
        vm.warp(expiresAt);
        vm.expectEmit(address(credit));
        emit IChunkedSettlement.BatchAbandoned(BATCH, true);
        vm.prank(ALICE);
        credit.expireBatch(BATCH);
        bytes32[] memory chunk = chunks[0];
        vm.prank(ALICE);
        credit.releaseChunk(BATCH, 0, chunk);
        assertBalances(100, 100, 100, 100);
    }

    function test_nothingToExpire() public {
        vm.expectRevert(
            abi.encodeWithSelector(IChunkedSettlement.NotTheBatchInProgress.selector, BATCH, bytes32(0))
        );
        credit.expireBatch(BATCH);
    }

    // ---- withdrawals meanwhile

    function test_noWithdrawalIsPaidFromOpeningToEnd() public {
        vm.prank(DORA);
        credit.requestWithdrawal(100);
        vm.warp(block.timestamp + DELAY);
        open(BATCH);
        expectNoClaim();
        push(BATCH, 0);
        expectNoClaim();
        push(BATCH, 1);
        finalise(BATCH);
        expectNoClaim();
        release(BATCH, 0);
        expectNoClaim();
        release(BATCH, 1);
        vm.prank(DORA);
        vm.assertEq(credit.claimWithdrawal(), 50, "what the batch left");
        assertBacked();
    }

    function test_abandonedBatchTakesNothingFromAWithdrawal() public {
        vm.prank(DORA);
        credit.requestWithdrawal(100);
        vm.warp(block.timestamp + DELAY);
        open(BATCH);
        pushAll(BATCH);
        abandon(BATCH);
        release(BATCH, 0);
        expectNoClaim();
        release(BATCH, 1);
        vm.prank(DORA);
        vm.assertEq(credit.claimWithdrawal(), 100, "all of it");
        assertBacked();
    }

    function expectNoClaim() private {
        vm.expectRevert(abi.encodeWithSelector(IChunkedSettlement.BatchInProgress.selector, BATCH));
        vm.prank(DORA);
        credit.claimWithdrawal();
    }

    function test_heldCreditsAreNobodysFreeCredit() public {
        open(BATCH);
        pushAll(BATCH);
        vm.assertEq(credit.freeCreditOf(DORA), 50, "debtor");
        vm.assertEq(credit.freeCreditOf(CAROL), 100, "creditor");
        vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.InsufficientCredit.selector, DORA, 50, 51));
        vm.prank(DORA);
        credit.requestWithdrawal(51);
    }

    function test_depositsRequestsAndCancellationsGoOn() public {
        open(BATCH);
        push(BATCH, 0);
        fund(DORA, 10);
        vm.prank(ALICE);
        credit.requestWithdrawal(100);
        vm.prank(ALICE);
        credit.cancelWithdrawal();
        push(BATCH, 1);
        finalise(BATCH);
        releaseAll(BATCH);
        assertCredit(DORA, 60, "dora");
        assertBacked();
    }

    // ---- refused when opened

    function test_openChecksWhatSettleChecks() public {
        bytes32[] memory list = hashes();
        vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.InvalidSlotRange.selector, SLOT_TO, SLOT_TO));
        vm.prank(SETTLER);
        credit.openBatch(BATCH, SLOT_TO, SLOT_TO, ROOT, list);
        vm.expectRevert(IEnergyCredit.MissingStatementRoot.selector);
        vm.prank(SETTLER);
        credit.openBatch(BATCH, SLOT_FROM, SLOT_TO, 0, list);
    }

    function test_numberOfChunksIsBounded() public {
        uint256[2] memory counts = [uint256(0), credit.MAX_CHUNKS() + 1];
        for (uint256 i = 0; i < counts.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IChunkedSettlement.InvalidChunkCount.selector, counts[i]));
            vm.prank(SETTLER);
            credit.openBatch(BATCH, SLOT_FROM, SLOT_TO, ROOT, new bytes32[](counts[i]));
        }
    }

    // ---- refused when pushed

    function expectPushRefused(bytes memory reason, bytes32[] memory positions, uint256 size) private {
        cut(positions, size);
        open(BATCH);
        uint256 last = chunks.length - 1;
        for (uint256 i = 0; i < last; ++i) {
            push(BATCH, i);
        }
        vm.expectRevert(reason);
        push(BATCH, last);
        abandon(BATCH);
        for (uint256 i = 0; i < last; ++i) {
            release(BATCH, i);
        }
        assertBalances(100, 100, 100, 100);
        assertPhase(IChunkedSettlement.BatchPhase.None);
    }

    function test_accountsAscendWithinAChunk() public {
        bytes32[] memory positions = four(30, -20, 40, -50);
        (positions[0], positions[1]) = (positions[1], positions[0]);
        expectPushRefused(abi.encodeWithSelector(Positions.PositionsNotAscending.selector, 1), positions, 4);
    }

    function test_accountsAscendAcrossChunks() public {
        bytes32[] memory positions = four(30, -20, 40, -50);
        // The same account in both chunks, then a lower one.
        positions[2] = position(BOB, 40);
        expectPushRefused(abi.encodeWithSelector(Positions.PositionsNotAscending.selector, 0), positions, 2);
        positions[2] = position(ALICE, 40);
        expectPushRefused(abi.encodeWithSelector(Positions.PositionsNotAscending.selector, 0), positions, 2);
    }

    function test_emptyChunkKeepsTheOrder() public {
        chunks[1] = new bytes32[](0);
        chunks.push(chunks[0]);
        open(BATCH);
        push(BATCH, 0);
        push(BATCH, 1);
        vm.expectRevert(abi.encodeWithSelector(Positions.PositionsNotAscending.selector, 0));
        push(BATCH, 2);
    }

    function test_zeroAddressIsRefused() public {
        bytes32[] memory positions = four(30, -20, 40, -50);
        positions[0] = position(address(0), 30);
        expectPushRefused(abi.encodeWithSelector(Positions.PositionsNotAscending.selector, 0), positions, 4);
    }

    function test_contractItselfIsRefusedOnEitherSide() public {
        bytes memory reason = abi.encodeWithSelector(IEnergyCredit.InvalidAccount.selector, address(credit));
        expectPushRefused(reason, pair(ALICE, address(credit), 5), 2);
        expectPushRefused(reason, pair(address(credit), ALICE, 5), 2);
        expectPushRefused(reason, pair(address(credit), ALICE, 0), 2);
    }

    function test_debtorWithTooLittleIsRefused() public {
        expectPushRefused(
            abi.encodeWithSelector(IEnergyCredit.InsufficientCredit.selector, DORA, 100, 101),
            four(30, -20, 91, -101),
            2
        );
    }

    function test_chunkOfTooManyPositionsIsRefused() public {
        uint256 count = credit.MAX_CHUNK_POSITIONS() + 1;
        bytes32[] memory positions = new bytes32[](count);
        for (uint160 i = 0; i < count; ++i) {
            positions[i] = position(address(i + 1), 0);
        }
        expectPushRefused(
            abi.encodeWithSelector(IChunkedSettlement.ChunkTooLarge.selector, count), positions, count
        );
    }

    function test_anotherChunkThanAnnouncedIsRefused() public {
        open(BATCH);
        bytes32 announced = hashes()[0];
        chunks[0][0] = position(ALICE, 29);
        vm.expectRevert(abi.encodeWithSelector(IChunkedSettlement.WrongChunk.selector, 0, announced));
        push(BATCH, 0);
    }

    function test_chunksArePushedInOrderAndOnce() public {
        open(BATCH);
        expectUnexpected(1, 0);
        push(BATCH, 1);
        push(BATCH, 0);
        expectUnexpected(0, 1);
        push(BATCH, 0);
        push(BATCH, 1);
        expectUnexpected(1, 2);
        push(BATCH, 1);
        assertBalances(100, 80, 100, 50);
    }

    function test_hashesOfAnEarlierBatchDoNotCount() public {
        cut(four(30, -20, 40, -50), 1);
        open(BATCH);
        abandon(BATCH);
        chunks.pop();
        open(OTHER);
        pushAll(OTHER);
        chunks.push(new bytes32[](1));
        chunks[3][0] = position(DORA, -50);
        expectUnexpected(3, 3);
        push(OTHER, 3);
    }

    function expectUnexpected(uint256 index, uint256 expected) private {
        vm.expectRevert(abi.encodeWithSelector(IChunkedSettlement.UnexpectedChunk.selector, index, expected));
    }

    // ---- refused when finalised

    function test_incompleteBatchIsNotFinalised() public {
        open(BATCH);
        push(BATCH, 0);
        vm.expectRevert(abi.encodeWithSelector(IChunkedSettlement.BatchIncomplete.selector, 1, 2));
        finalise(BATCH);
    }

    function test_unbalancedBatchIsNotFinalised() public {
        int96[2] memory dora = [int96(-49), -51];
        for (uint256 i = 0; i < dora.length; ++i) {
            cut(four(30, -20, 40, dora[i]), 2);
            open(BATCH);
            pushAll(BATCH);
            vm.expectRevert(
                abi.encodeWithSelector(Positions.PositionsNotBalanced.selector, 50 + int256(dora[i]))
            );
            finalise(BATCH);
            abandon(BATCH);
            releaseAll(BATCH);
            assertBalances(100, 100, 100, 100);
        }
    }

    // ---- refused when released

    function test_nothingIsReleasedBeforeTheDecision() public {
        open(BATCH);
        push(BATCH, 0);
        expectWrongPhase(IChunkedSettlement.BatchPhase.Collecting);
        release(BATCH, 0);
    }

    function test_chunksAreReleasedInOrderAndOnce() public {
        open(BATCH);
        pushAll(BATCH);
        finalise(BATCH);
        expectUnexpected(1, 0);
        release(BATCH, 1);
        release(BATCH, 0);
        expectUnexpected(0, 1);
        release(BATCH, 0);
        assertBalances(130, 80, 100, 50);
    }

    function test_otherPositionsAreNotReleased() public {
        open(BATCH);
        pushAll(BATCH);
        finalise(BATCH);
        bytes32 announced = hashes()[0];
        bytes32[] memory mine = new bytes32[](1);
        mine[0] = position(ALICE, 70);
        vm.expectRevert(abi.encodeWithSelector(IChunkedSettlement.WrongChunk.selector, 0, announced));
        credit.releaseChunk(BATCH, 0, mine);
    }

    function test_anotherIdIsRefused() public {
        open(BATCH);
        bytes memory reason =
            abi.encodeWithSelector(IChunkedSettlement.NotTheBatchInProgress.selector, OTHER, BATCH);
        vm.expectRevert(reason);
        push(OTHER, 0);
        pushAll(BATCH);
        vm.expectRevert(reason);
        finalise(OTHER);
        vm.expectRevert(reason);
        abandon(OTHER);
        finalise(BATCH);
        vm.expectRevert(reason);
        release(OTHER, 0);
    }

    // ---- who, and when paused

    function test_onlyTheSettlerBringsABatchOn() public {
        address[4] memory others = [ALICE, PAUSER, ADMIN, address(this)];
        for (uint256 i = 0; i < others.length; ++i) {
            expectUnauthorized(others[i]);
            credit.openBatch(BATCH, SLOT_FROM, SLOT_TO, ROOT, new bytes32[](1));
            expectUnauthorized(others[i]);
            credit.pushChunk(BATCH, 0, new bytes32[](0));
            expectUnauthorized(others[i]);
            credit.finaliseBatch(BATCH);
            expectUnauthorized(others[i]);
            credit.abandonBatch(BATCH);
        }
    }

    function expectUnauthorized(address caller) private {
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, caller));
        vm.prank(caller);
    }

    function expectPaused() private {
        vm.expectRevert(Pausable.EnforcedPause.selector);
    }

    function pause() private {
        vm.prank(PAUSER);
        credit.pause();
    }

    function unpause() private {
        vm.prank(ADMIN);
        credit.unpause();
    }

    function test_pauseStopsABatchWhereverItIs() public {
        pause();
        expectPaused();
        open(BATCH);
        unpause();
        open(BATCH);
        push(BATCH, 0);
        pause();
        expectPaused();
        push(BATCH, 1);
        unpause();
        push(BATCH, 1);
        pause();
        expectPaused();
        finalise(BATCH);
        unpause();
        finalise(BATCH);
        pause();
        expectPaused();
        release(BATCH, 0);
        unpause();
        releaseAll(BATCH);
        assertBalances(130, 80, 140, 50);
    }

    function test_batchIsGivenUpWhilePausedAndReturnedAfterwards() public {
        open(BATCH);
        pushAll(BATCH);
        pause();
        abandon(BATCH);
        expectPaused();
        release(BATCH, 0);
        unpause();
        releaseAll(BATCH);
        assertBalances(100, 100, 100, 100);
    }

    /// @dev The key is stolen and its batch is open: without it the credits come back.
    function test_batchOfARevokedSettlerIsReturned() public {
        open(BATCH);
        pushAll(BATCH);
        vm.prank(ADMIN);
        manager.revokeRole(SETTLER_ROLE, SETTLER);
        expectUnauthorized(SETTLER);
        credit.finaliseBatch(BATCH);
        vm.warp(block.timestamp + credit.BATCH_LIFETIME());
        credit.expireBatch(BATCH);
        releaseAll(BATCH);
        assertBalances(100, 100, 100, 100);
    }
}
