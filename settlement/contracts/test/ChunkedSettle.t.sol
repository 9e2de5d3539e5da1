// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChunkedSettlement} from "../src/IChunkedSettlement.sol";
import {IEnergyCredit} from "../src/IEnergyCredit.sol";
import {FourPositions} from "./base/FourPositions.sol";
import {vm} from "./base/Vm.sol";

/// @dev A batch in chunks on its way to either end, and what may happen meanwhile.
contract ChunkedSettleTest is FourPositions {
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
}
