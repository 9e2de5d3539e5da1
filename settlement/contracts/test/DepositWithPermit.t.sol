// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {EnergyCredit} from "../src/EnergyCredit.sol";
import {IEnergyCredit} from "../src/IEnergyCredit.sol";
import {CreditTest} from "./base/CreditTest.sol";
import {vm} from "./base/Vm.sol";

/// @dev A currency without permit.
contract PlainCurrency is ERC20 {
    constructor() ERC20("Plain", "PLN") {
        _mint(msg.sender, 100);
    }
}

/// @dev A currency that takes any call, as some wrapped coins do: a permit seems to succeed and approves nothing.
contract SilentCurrency is PlainCurrency {
    fallback() external {}
}

contract DepositWithPermitTest is CreditTest {
    bytes32 private constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    uint256 private constant KEY = 0xA11CE;

    struct Signed {
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    address private payer = vm.addr(KEY);

    function signed(uint256 key, uint256 amount, uint256 deadline) private view returns (Signed memory) {
        address owner = vm.addr(key);
        bytes32 hash =
            keccak256(abi.encode(PERMIT, owner, address(credit), amount, euro.nonces(owner), deadline));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", euro.DOMAIN_SEPARATOR(), hash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return Signed(deadline, v, r, s);
    }

    function deposit(address from, address account, uint256 amount, Signed memory p) private {
        vm.prank(from);
        credit.depositWithPermit(account, amount, p.deadline, p.v, p.r, p.s);
    }

    function expectRefused(address from, bytes memory reason) private {
        vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.PermitRefused.selector, from, reason));
    }

    function test_permitAndDepositInOneTransaction() public {
        euro.mint(payer, 5);
        expectTransfer(address(0), BOB, 5);
        deposit(payer, BOB, 5, signed(KEY, 5, block.timestamp));
        assertCredit(BOB, 5, "credits");
        vm.assertEq(euro.balanceOf(payer), 0, "payer's currency");
        vm.assertEq(euro.allowance(payer, address(credit)), 0, "nothing is left to take");
        assertBacked();
    }

    function testFuzz_permitPaysExactlyWhatWasSigned(uint256 key, address account, uint96 amount) public {
        key = 1 + key % type(uint128).max;
        address from = vm.addr(key);
        vm.assume(account != address(0) && account != address(credit) && amount != 0);
        euro.mint(from, uint256(amount) + 1);
        deposit(from, account, amount, signed(key, amount, block.timestamp));
        assertCredit(account, amount, "credits");
        vm.assertEq(euro.balanceOf(from), 1, "payer's currency");
        assertBacked();
    }

    function testFuzz_anotherAmountThanSignedIsRefused(uint96 signedAmount, uint96 amount) public {
        vm.assume(amount != 0 && amount != signedAmount);
        euro.mint(payer, amount);
        Signed memory p = signed(KEY, signedAmount, block.timestamp);
        vm.prank(payer);
        try credit.depositWithPermit(payer, amount, p.deadline, p.v, p.r, p.s) {
            revert("taken");
        } catch (bytes memory reason) {
            vm.assertEq(bytes32(bytes4(reason)), bytes32(IEnergyCredit.PermitRefused.selector), "refused");
        }
        vm.assertEq(euro.balanceOf(payer), amount, "untouched");
    }

    function test_permitThatSomebodyUsedFirstDoesNoHarm() public {
        euro.mint(payer, 5);
        Signed memory p = signed(KEY, 5, block.timestamp);
        vm.prank(CAROL);
        euro.permit(payer, address(credit), 5, p.deadline, p.v, p.r, p.s);
        deposit(payer, payer, 5, p);
        assertCredit(payer, 5, "credits");
    }

    function test_signatureOfAnotherDoesNotPay() public {
        euro.mint(payer, 5);
        Signed memory p = signed(KEY, 5, block.timestamp);
        vm.prank(CAROL);
        try credit.depositWithPermit(CAROL, 5, p.deadline, p.v, p.r, p.s) {
            revert("taken");
        } catch (bytes memory reason) {
            vm.assertEq(bytes32(bytes4(reason)), bytes32(IEnergyCredit.PermitRefused.selector), "refused");
        }
        vm.assertEq(euro.balanceOf(payer), 5, "untouched");
        assertCredit(CAROL, 0, "none");
    }

    function test_permitOverTimeIsRefusedWithTheCurrencysReason() public {
        euro.mint(payer, 5);
        Signed memory p = signed(KEY, 5, block.timestamp);
        vm.warp(block.timestamp + 1);
        expectRefused(payer, abi.encodeWithSelector(ERC20Permit.ERC2612ExpiredSignature.selector, p.deadline));
        deposit(payer, payer, 5, p);
    }

    function test_currencyWithoutPermitNeedsAnAllowance() public {
        PlainCurrency plain = new PlainCurrency();
        EnergyCredit other = new EnergyCredit(plain, address(manager), DELAY, "Other", "OTH");
        expectRefused(address(this), "");
        other.depositWithPermit(ALICE, 5, block.timestamp, 27, 0, 0);
        plain.approve(address(other), 5);
        other.depositWithPermit(ALICE, 5, block.timestamp, 27, 0, 0);
        vm.assertEq(other.balanceOf(ALICE), 5, "credits");
    }

    function test_permitThatApprovesNothingTakesNothing() public {
        SilentCurrency silent = new SilentCurrency();
        EnergyCredit other = new EnergyCredit(silent, address(manager), DELAY, "Other", "OTH");
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(other), 0, 5)
        );
        other.depositWithPermit(ALICE, 5, block.timestamp, 27, 0, 0);
    }

    function test_theRulesOfADepositHold() public {
        euro.mint(payer, 5);
        Signed memory p = signed(KEY, 0, block.timestamp);
        vm.expectRevert(IEnergyCredit.ZeroAmount.selector);
        deposit(payer, payer, 0, p);
        p = signed(KEY, 5, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.InvalidAccount.selector, address(credit)));
        deposit(payer, address(credit), 5, p);
        vm.prank(PAUSER);
        credit.pause();
        vm.expectRevert(bytes4(keccak256("EnforcedPause()")));
        deposit(payer, payer, 5, p);
        vm.assertEq(euro.balanceOf(payer), 5, "untouched");
    }
}
