// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChunkedHandler} from "./base/ChunkedHandler.sol";
import {CreditTest} from "./base/CreditTest.sol";
import {vm} from "./base/Vm.sol";

/// @dev What holds after any sequence of deposits, withdrawals and batches, in one call or in chunks.
contract InvariantsTest is CreditTest {
    ChunkedHandler private handler;

    function setUp() public override {
        super.setUp();
        handler = new ChunkedHandler(credit, euro, SETTLER);
        euro.transferOwnership(address(handler));
    }

    /// @dev Read by forge: the only contract that the random calls go to.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_supplyEqualsEscrow() public view {
        assertBacked();
        vm.assertEq(credit.totalSupply(), handler.deposited() - handler.paid(), "deposits less payouts");
    }

    function invariant_membersHoldWhatTheBooksSay() public view {
        uint256 sum = 0;
        for (uint256 i = 0; i < handler.MEMBER_COUNT(); ++i) {
            address member = handler.member(i);
            assertCredit(member, handler.expected(member), "member");
            sum += credit.balanceOf(member);
        }
        vm.assertEq(sum + handler.held(), credit.totalSupply(), "members and the batch hold the supply");
    }

    function invariant_onlyABatchInProgressHoldsCredits() public view {
        assertCredit(address(credit), handler.held(), "held");
        if (!handler.inProgress()) vm.assertEq(handler.held(), 0, "held for nothing");
    }

    function invariant_rulesHold() public view {
        vm.assertFalse(handler.ruleBroken(), "payout, batch or transfer against the rules");
    }

    function invariant_settledBatchesKeepTheirRoot() public view {
        for (uint256 i = 0; i < handler.settledCount(); ++i) {
            vm.assertEq(credit.settledRoot(handler.batchId(i)), handler.batchId(i), "root");
        }
        vm.assertFalse(credit.isSettled(handler.batchId(handler.settledCount())), "the next is open");
    }
}
