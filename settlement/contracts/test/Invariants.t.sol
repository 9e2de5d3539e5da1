// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CreditHandler} from "./base/CreditHandler.sol";
import {CreditTest} from "./base/CreditTest.sol";
import {vm} from "./base/Vm.sol";

/// @dev What holds after any sequence of deposits, withdrawals and batches.
contract InvariantsTest is CreditTest {
    CreditHandler private handler;

    function setUp() public override {
        super.setUp();
        handler = new CreditHandler(credit, euro, SETTLER);
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
        vm.assertEq(sum, credit.totalSupply(), "members hold the supply");
    }

    function invariant_rulesHold() public view {
        vm.assertFalse(handler.ruleBroken(), "early payout, batch twice or transfer");
    }

    function invariant_settledBatchesKeepTheirRoot() public view {
        for (uint256 i = 0; i < handler.settledCount(); ++i) {
            vm.assertEq(credit.settledRoot(handler.batchId(i)), handler.batchId(i), "root");
        }
        vm.assertFalse(credit.isSettled(handler.batchId(handler.settledCount())), "the next is open");
    }
}
