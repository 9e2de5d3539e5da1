// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EnergyCredit} from "../src/EnergyCredit.sol";
import {IEnergyCredit} from "../src/IEnergyCredit.sol";
import {CreditTest} from "./base/CreditTest.sol";
import {vm} from "./base/Vm.sol";

contract WithdrawalTest is CreditTest {
    uint256 private constant START = 1_750_000_000;

    function setUp() public override {
        super.setUp();
        vm.warp(START);
        fund(ALICE, 100);
    }

    function request(address account, uint256 amount) private {
        vm.prank(account);
        credit.requestWithdrawal(amount);
    }

    function claim(address account) private returns (uint256) {
        vm.prank(account);
        return credit.claimWithdrawal();
    }

    function assertRequest(uint256 requested, uint256 covered, uint256 claimableAt) private view {
        (uint256 r, uint256 c, uint64 t) = credit.withdrawalOf(ALICE);
        vm.assertEq(r, requested, "requested");
        vm.assertEq(c, covered, "covered");
        vm.assertEq(t, claimableAt, "claimable at");
    }

    function test_requestThenClaimAfterTheDelay() public {
        vm.expectEmit(address(credit));
        emit IEnergyCredit.WithdrawalRequested(ALICE, 60, uint64(START) + DELAY);
        request(ALICE, 60);
        assertCredit(ALICE, 100, "still held");
        vm.assertEq(credit.freeCreditOf(ALICE), 40, "free");
        assertRequest(60, 60, START + DELAY);

        vm.warp(START + DELAY);
        expectTransfer(ALICE, address(0), 60);
        vm.expectEmit(address(credit));
        emit IEnergyCredit.WithdrawalPaid(ALICE, 60, 60);
        vm.assertEq(claim(ALICE), 60, "paid");
        assertCredit(ALICE, 40, "left");
        vm.assertEq(euro.balanceOf(ALICE), 60, "currency");
        assertRequest(0, 0, 0);
        assertBacked();
    }

    function test_claimOneSecondEarlyIsRefused() public {
        request(ALICE, 60);
        vm.warp(START + DELAY - 1);
        vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.WithdrawalNotDue.selector, ALICE, START + DELAY));
        vm.prank(ALICE);
        credit.claimWithdrawal();
    }

    function test_claimTwiceIsRefused() public {
        request(ALICE, 60);
        vm.warp(START + DELAY);
        claim(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.NoWithdrawalRequested.selector, ALICE));
        vm.prank(ALICE);
        credit.claimWithdrawal();
    }

    function test_requestOfMoreThanHeldIsRefused() public {
        vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.InsufficientCredit.selector, ALICE, 100, 101));
        request(ALICE, 101);
    }

    function test_requestOfZeroIsRefused() public {
        vm.expectRevert(IEnergyCredit.ZeroAmount.selector);
        request(ALICE, 0);
    }

    function test_secondRequestIsRefused() public {
        request(ALICE, 10);
        vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.WithdrawalAlreadyRequested.selector, ALICE));
        request(ALICE, 10);
    }

    function test_cancelFreesTheCreditsAndStartsOver() public {
        request(ALICE, 60);
        vm.expectEmit(address(credit));
        emit IEnergyCredit.WithdrawalCancelled(ALICE, 60);
        vm.prank(ALICE);
        credit.cancelWithdrawal();
        vm.assertEq(credit.freeCreditOf(ALICE), 100, "free again");

        vm.warp(START + DELAY);
        request(ALICE, 60);
        assertRequest(60, 60, START + 2 * uint256(DELAY));
    }

    function test_cancelWithoutRequestIsRefused() public {
        vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.NoWithdrawalRequested.selector, BOB));
        vm.prank(BOB);
        credit.cancelWithdrawal();
    }

    function test_settlementTakesFreeCreditsFirst() public {
        request(ALICE, 60);
        settle(BATCH, pair(ALICE, BOB, 40));
        assertRequest(60, 60, START + DELAY);
        vm.assertEq(credit.freeCreditOf(ALICE), 0, "free");
    }

    function test_settlementTakesRequestedCreditsAndTheClaimPaysTheRest() public {
        request(ALICE, 60);
        settle(BATCH, pair(ALICE, BOB, 70));
        assertRequest(60, 30, START + DELAY);
        vm.warp(START + DELAY);
        vm.expectEmit(address(credit));
        emit IEnergyCredit.WithdrawalPaid(ALICE, 60, 30);
        vm.assertEq(claim(ALICE), 30, "paid");
        assertCredit(ALICE, 0, "left");
        assertBacked();
    }

    function test_claimOfNothingClosesTheRequest() public {
        request(ALICE, 60);
        settle(BATCH, pair(ALICE, BOB, 100));
        vm.warp(START + DELAY);
        vm.assertEq(claim(ALICE), 0, "paid");
        assertRequest(0, 0, 0);
    }

    function testFuzz_neverPaidBeforeTheDelay(uint64 waited) public {
        request(ALICE, 1);
        vm.warp(START + waited % DELAY);
        vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.WithdrawalNotDue.selector, ALICE, START + DELAY));
        vm.prank(ALICE);
        credit.claimWithdrawal();
    }

    /// @dev The market lets Alice owe what `freeCreditOf` says. Whatever she does from then on until the settlement, within
    /// the delay, the position is paid. Her request before may be as old as she likes.
    function testFuzz_coveredPositionIsAlwaysPaid(uint256 seed, uint8 first, uint8 exposure) public {
        if (first != 0) request(ALICE, 1 + first % 100);
        vm.warp(block.timestamp + seed % (2 * DELAY));
        int96 owed = int96(uint96(exposure % (credit.freeCreditOf(ALICE) + 1)));
        for (uint256 i = 0; i < 6; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            vm.warp(block.timestamp + random % (DELAY / 6));
            actAtWill(random >> 128);
        }
        settle(BATCH, pair(ALICE, BOB, owed));
        assertCredit(BOB, uint96(owed), "paid");
    }

    /// @dev Alice requests, cancels or claims, if she can.
    function actAtWill(uint256 random) private {
        (uint256 requested,, uint64 claimableAt) = credit.withdrawalOf(ALICE);
        uint256 has = credit.balanceOf(ALICE);
        if (requested == 0) {
            if (has != 0) request(ALICE, 1 + random % has);
        } else if (block.timestamp >= claimableAt) {
            claim(ALICE);
        } else if (random % 3 == 0) {
            vm.prank(ALICE);
            credit.cancelWithdrawal();
        }
    }

    function test_delayMustBeWithinAYear() public {
        vm.assertEq(credit.WITHDRAWAL_DELAY(), DELAY, "delay");
        uint64[2] memory delays = [uint64(0), 365 days + 1];
        for (uint256 i = 0; i < delays.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.InvalidWithdrawalDelay.selector, delays[i]));
            new EnergyCredit(euro, address(manager), delays[i], "Energy Credit", "ECR");
        }
    }
}
