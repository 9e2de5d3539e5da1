// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEnergyCredit} from "../src/IEnergyCredit.sol";
import {Positions} from "../src/Positions.sol";
import {CreditTest} from "./base/CreditTest.sol";
import {vm, Vm} from "./base/Vm.sol";

contract SettleTest is CreditTest {
    function setUp() public override {
        super.setUp();
        fund(ALICE, 100);
        fund(BOB, 100);
        fund(CAROL, 100);
    }

    function three(int96 alice, int96 bob, int96 carol) private pure returns (bytes32[] memory positions) {
        positions = new bytes32[](3);
        positions[0] = position(ALICE, alice);
        positions[1] = position(BOB, bob);
        positions[2] = position(CAROL, carol);
    }

    function assertHeld(uint256 alice, uint256 bob, uint256 carol) private view {
        assertCredit(ALICE, alice, "alice");
        assertCredit(BOB, bob, "bob");
        assertCredit(CAROL, carol, "carol");
        vm.assertEq(credit.totalSupply(), 300, "supply");
    }

    function expectRefusal(bytes memory reason, bytes32[] memory positions) private {
        vm.expectRevert(reason);
        settle(BATCH, positions);
        vm.assertFalse(credit.isSettled(BATCH), "not settled");
        assertHeld(100, 100, 100);
    }

    function test_oneDebtorPaysTwoCreditors() public {
        expectTransfer(BOB, ALICE, 30);
        expectTransfer(BOB, CAROL, 20);
        vm.expectEmit(address(credit));
        emit IEnergyCredit.BatchSettled(BATCH, SLOT_FROM, SLOT_TO, ROOT, 3);
        settle(BATCH, three(30, -50, 20));
        assertHeld(130, 50, 120);
        vm.assertTrue(credit.isSettled(BATCH), "settled");
        vm.assertEq(credit.settledRoot(BATCH), ROOT, "root");
    }

    function test_twoDebtorsPayOneCreditor() public {
        expectTransfer(ALICE, CAROL, 100);
        expectTransfer(BOB, CAROL, 1);
        settle(BATCH, three(-100, -1, 101));
        assertHeld(0, 99, 201);
    }

    function test_zeroPositionMovesNothing() public {
        vm.recordLogs();
        settle(BATCH, three(-5, 0, 5));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 2, "one transfer and the batch");
        assertHeld(95, 100, 105);
    }

    function test_emptyBatchKeepsItsRoot() public {
        settle(BATCH, new bytes32[](0));
        vm.assertEq(credit.settledRoot(BATCH), ROOT, "root");
        assertHeld(100, 100, 100);
    }

    function test_newAccountCanBeCreditor() public {
        address dora = address(0xD0A0);
        settle(BATCH, pair(ALICE, dora, 7));
        assertCredit(dora, 7, "dora");
    }

    function test_batchIsSettledOnce() public {
        settle(BATCH, three(-5, 0, 5));
        vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.BatchAlreadySettled.selector, BATCH));
        settle(BATCH, three(-5, 0, 5));
        assertHeld(95, 100, 105);
    }

    function test_sumMustBeZero() public {
        expectRefusal(
            abi.encodeWithSelector(Positions.PositionsNotBalanced.selector, int256(1)), three(-5, 0, 6)
        );
        expectRefusal(
            abi.encodeWithSelector(Positions.PositionsNotBalanced.selector, int256(-2)), three(-5, -2, 5)
        );
    }

    function test_sameAccountTwiceIsRefused() public {
        bytes32[] memory positions = three(-5, 0, 5);
        positions[1] = position(ALICE, 0);
        expectRefusal(abi.encodeWithSelector(Positions.PositionsNotAscending.selector, 1), positions);
    }

    function test_descendingAccountsAreRefused() public {
        bytes32[] memory positions = three(-5, 0, 5);
        (positions[1], positions[2]) = (positions[2], positions[1]);
        expectRefusal(abi.encodeWithSelector(Positions.PositionsNotAscending.selector, 2), positions);
    }

    function test_zeroAddressIsRefused() public {
        bytes32[] memory positions = three(-5, 0, 5);
        positions[0] = position(address(0), -5);
        expectRefusal(abi.encodeWithSelector(Positions.PositionsNotAscending.selector, 0), positions);
    }

    function test_contractItselfIsRefusedAsCreditor() public {
        expectRefusal(
            abi.encodeWithSelector(IEnergyCredit.InvalidAccount.selector, address(credit)),
            pair(ALICE, address(credit), 5)
        );
    }

    function test_debtorWithTooLittleRefusesTheWholeBatch() public {
        expectRefusal(
            abi.encodeWithSelector(IEnergyCredit.InsufficientCredit.selector, BOB, 100, 101),
            three(-50, -101, 151)
        );
    }

    function test_rangeOfSlotsMustNotBeEmpty() public {
        vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.InvalidSlotRange.selector, SLOT_FROM, SLOT_FROM));
        vm.prank(SETTLER);
        credit.settle(BATCH, SLOT_FROM, SLOT_FROM, ROOT, three(-5, 0, 5));
    }

    function test_rootMustNotBeZero() public {
        vm.expectRevert(IEnergyCredit.MissingStatementRoot.selector);
        vm.prank(SETTLER);
        credit.settle(BATCH, SLOT_FROM, SLOT_TO, 0, three(-5, 0, 5));
    }

    function test_largestPositionsDoNotOverflow() public {
        int96 huge = type(int96).max;
        fund(ALICE, uint96(huge));
        settle(BATCH, three(-huge, huge, 0));
        assertCredit(BOB, 100 + uint256(uint96(huge)), "bob");
        expectUnbalanced(type(int96).min, huge);
    }

    function expectUnbalanced(int96 alice, int96 bob) private {
        vm.expectRevert(abi.encodeWithSelector(Positions.PositionsNotBalanced.selector, int256(-1)));
        settle(keccak256("batch 2"), three(alice, bob, 0));
    }
}
