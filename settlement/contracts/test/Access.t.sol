// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {IEnergyCredit} from "../src/IEnergyCredit.sol";
import {CreditTest} from "./base/CreditTest.sol";
import {vm} from "./base/Vm.sol";

/// @dev Who may do what: roles, the ban on transfers, the emergency stop.
contract AccessTest is CreditTest {
    function setUp() public override {
        super.setUp();
        fund(ALICE, 100);
    }

    function expectUnauthorized(address caller) private {
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, caller));
        vm.prank(caller);
    }

    function expectNotTransferable() private {
        vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.CreditsNotTransferable.selector, ALICE));
    }

    function test_deployerKeepsNoRole() public view {
        uint64[3] memory roles = [manager.ADMIN_ROLE(), SETTLER_ROLE, PAUSER_ROLE];
        for (uint256 i = 0; i < roles.length; ++i) {
            (bool held,) = manager.hasRole(roles[i], address(this));
            vm.assertFalse(held, "deployer");
        }
        (bool admin,) = manager.hasRole(manager.ADMIN_ROLE(), ADMIN);
        vm.assertTrue(admin, "administrator");
    }

    function test_deployerMayCallNothing() public view {
        bytes4[7] memory functions = [
            credit.settle.selector,
            credit.openBatch.selector,
            credit.pushChunk.selector,
            credit.finaliseBatch.selector,
            credit.abandonBatch.selector,
            credit.pause.selector,
            credit.unpause.selector
        ];
        for (uint256 i = 0; i < functions.length; ++i) {
            (bool immediate, uint32 delay) = manager.canCall(address(this), address(credit), functions[i]);
            vm.assertFalse(immediate || delay != 0, "restricted function");
        }
    }

    function test_deployerGrantsNothing() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                IAccessManager.AccessManagerUnauthorizedAccount.selector, address(this), manager.ADMIN_ROLE()
            )
        );
        manager.grantRole(SETTLER_ROLE, address(this), 0);
    }

    function test_onlyTheSettlerSettles() public {
        address[4] memory others = [ALICE, PAUSER, ADMIN, address(this)];
        for (uint256 i = 0; i < others.length; ++i) {
            expectUnauthorized(others[i]);
            credit.settle(BATCH, SLOT_FROM, SLOT_TO, ROOT, pair(ALICE, BOB, 1));
        }
        assertCredit(ALICE, 100, "untouched");
    }

    function testFuzz_strangersDoNotSettle(address caller) public {
        vm.assume(caller != SETTLER && caller != address(manager));
        expectUnauthorized(caller);
        credit.settle(BATCH, SLOT_FROM, SLOT_TO, ROOT, pair(ALICE, BOB, 1));
    }

    function test_revokedSettlerIsRefused() public {
        vm.prank(ADMIN);
        manager.revokeRole(SETTLER_ROLE, SETTLER);
        expectUnauthorized(SETTLER);
        credit.settle(BATCH, SLOT_FROM, SLOT_TO, ROOT, pair(ALICE, BOB, 1));
    }

    function test_membersDoNotTransfer() public {
        expectNotTransferable();
        vm.prank(ALICE);
        credit.transfer(BOB, 1);
        expectNotTransferable();
        vm.prank(ALICE);
        credit.transfer(BOB, 0);
        expectNotTransferable();
        vm.prank(ALICE);
        credit.approve(BOB, 1);
    }

    function test_nobodyTransfersForAMember() public {
        address[3] memory callers = [BOB, SETTLER, ADMIN];
        for (uint256 i = 0; i < callers.length; ++i) {
            for (uint256 amount = 0; amount < 2; ++amount) {
                expectNotTransferable();
                vm.prank(callers[i]);
                credit.transferFrom(ALICE, callers[i], amount);
            }
        }
        vm.assertEq(credit.allowance(ALICE, BOB), 0, "allowance");
    }

    function test_pauseStopsEveryMovement() public {
        vm.prank(ALICE);
        credit.requestWithdrawal(10);
        vm.prank(PAUSER);
        credit.pause();

        vm.expectRevert(Pausable.EnforcedPause.selector);
        settle(BATCH, pair(ALICE, BOB, 1));

        euro.mint(address(this), 1);
        euro.approve(address(credit), 1);
        vm.expectRevert(Pausable.EnforcedPause.selector);
        credit.depositFor(ALICE, 1);

        vm.warp(block.timestamp + DELAY);
        vm.expectRevert(Pausable.EnforcedPause.selector);
        vm.prank(ALICE);
        credit.claimWithdrawal();
        assertBacked();
    }

    function test_delayGoesOnWhilePaused() public {
        vm.prank(PAUSER);
        credit.pause();
        vm.prank(ALICE);
        credit.requestWithdrawal(10);
        vm.warp(block.timestamp + DELAY);
        vm.prank(ADMIN);
        credit.unpause();
        vm.prank(ALICE);
        vm.assertEq(credit.claimWithdrawal(), 10, "paid");
    }

    function test_pauserPausesAndOnlyTheAdministratorUnpauses() public {
        expectUnauthorized(SETTLER);
        credit.pause();
        vm.prank(PAUSER);
        credit.pause();
        expectUnauthorized(PAUSER);
        credit.unpause();
        vm.prank(ADMIN);
        credit.unpause();
        settle(BATCH, pair(ALICE, BOB, 1));
        assertCredit(BOB, 1, "settled after the stop");
    }
}
