// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {DemoEuro} from "../../src/DemoEuro.sol";
import {EnergyCredit} from "../../src/EnergyCredit.sol";
import {vm} from "./Vm.sol";

/// @notice Deploys the contracts as the README says and helps to build positions.
abstract contract CreditTest {
    uint64 internal constant SETTLER_ROLE = 1;
    uint64 internal constant PAUSER_ROLE = 2;
    uint64 internal constant DELAY = 7 days;
    uint64 internal constant SLOT_FROM = 1_750_000_500;
    uint64 internal constant SLOT_TO = 1_750_001_400;
    bytes32 internal constant BATCH = keccak256("batch 1");
    bytes32 internal constant ROOT = keccak256("statements 1");

    address internal constant SETTLER = address(0x5E77);
    address internal constant PAUSER = address(0x9A05);
    address internal constant ADMIN = address(0xAD);

    // In the order of their addresses.
    address internal constant ALICE = address(0xA11CE);
    address internal constant BOB = address(0xB0B000);
    address internal constant CAROL = address(0xCA501000);

    DemoEuro internal euro;
    AccessManager internal manager;
    EnergyCredit internal credit;

    function setUp() public virtual {
        euro = new DemoEuro(address(this));
        manager = new AccessManager(address(this));
        credit = new EnergyCredit(euro, address(manager), DELAY, "Energy Credit", "ECR");
        bytes4[] memory settling = new bytes4[](5);
        settling[0] = credit.settle.selector;
        settling[1] = credit.openBatch.selector;
        settling[2] = credit.pushChunk.selector;
        settling[3] = credit.finaliseBatch.selector;
        settling[4] = credit.abandonBatch.selector;
        _allow(settling, SETTLER_ROLE, SETTLER, "settler");
        bytes4[] memory pausing = new bytes4[](1);
        pausing[0] = credit.pause.selector;
        _allow(pausing, PAUSER_ROLE, PAUSER, "pauser");
        manager.grantRole(manager.ADMIN_ROLE(), ADMIN, 0);
        manager.renounceRole(manager.ADMIN_ROLE(), address(this));
    }

    function _allow(bytes4[] memory selectors, uint64 role, address holder, string memory label) private {
        manager.labelRole(role, label);
        manager.setTargetFunctionRole(address(credit), selectors, role);
        manager.grantRole(role, holder, 0);
    }

    /// @dev Mints currency and deposits it for `account`.
    function fund(address account, uint256 amount) internal {
        euro.mint(address(this), amount);
        euro.approve(address(credit), amount);
        credit.depositFor(account, amount);
    }

    function position(address account, int96 amount) internal pure returns (bytes32) {
        // The packing is what is tested: account to the left, two's complement to the right.
        return bytes32((uint256(uint160(account)) << 96) | uint96(amount));
    }

    /// @dev `from` owes `amount` to `to`.
    function pair(address from, address to, int96 amount) internal pure returns (bytes32[] memory positions) {
        positions = new bytes32[](2);
        (positions[0], positions[1]) = from < to
            ? (position(from, -amount), position(to, amount))
            : (position(to, amount), position(from, -amount));
    }

    function settle(bytes32 batchId, bytes32[] memory positions) internal {
        vm.prank(SETTLER);
        credit.settle(batchId, SLOT_FROM, SLOT_TO, ROOT, positions);
    }

    function assertCredit(address account, uint256 expected, string memory message) internal view {
        vm.assertEq(credit.balanceOf(account), expected, message);
    }

    /// @dev What the contract holds of the currency is what it owes.
    function assertBacked() internal view {
        vm.assertEq(euro.balanceOf(address(credit)), credit.totalSupply(), "escrow equals supply");
    }

    /// @dev Expects the next call to move credits with a standard event.
    function expectTransfer(address from, address to, uint256 amount) internal {
        vm.expectEmit(address(credit));
        emit IERC20.Transfer(from, to, amount);
    }
}
