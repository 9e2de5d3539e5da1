// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {EnergyCredit} from "../src/EnergyCredit.sol";
import {IEnergyCredit} from "../src/IEnergyCredit.sol";
import {CreditTest} from "./base/CreditTest.sol";
import {vm} from "./base/Vm.sol";

/// @dev A currency that keeps one per cent of each transfer, of six decimals.
contract FeeCurrency is ERC20 {
    constructor() ERC20("Fee", "FEE") {
        _mint(msg.sender, 1e12);
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }

    function _update(address from, address to, uint256 value) internal override {
        uint256 fee = from == address(0) ? 0 : value / 100;
        super._update(from, to, value - fee);
        if (fee != 0) super._update(from, address(0), fee);
    }
}

contract DepositTest is CreditTest {
    function test_depositGivesAsManyCredits() public {
        euro.mint(ALICE, 10 ether);
        vm.prank(ALICE);
        euro.approve(address(credit), 10 ether);
        expectTransfer(address(0), BOB, 10 ether);
        vm.prank(ALICE);
        vm.assertTrue(credit.depositFor(BOB, 10 ether), "returns true");
        assertCredit(BOB, 10 ether, "credits");
        vm.assertEq(euro.balanceOf(ALICE), 0, "payer's currency");
        assertBacked();
    }

    function test_depositNeedsApprovedCurrency() public {
        euro.mint(ALICE, 1 ether);
        vm.expectRevert(
            abi.encodeWithSelector(
                IERC20Errors.ERC20InsufficientAllowance.selector, address(credit), 0, 1 ether
            )
        );
        vm.prank(ALICE);
        credit.depositFor(ALICE, 1 ether);
    }

    function test_depositOfZeroIsRefused() public {
        vm.expectRevert(IEnergyCredit.ZeroAmount.selector);
        credit.depositFor(ALICE, 0);
    }

    function test_depositForTheContractItselfIsRefused() public {
        vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.InvalidAccount.selector, address(credit)));
        credit.depositFor(address(credit), 1);
    }

    function test_depositForNobodyIsRefused() public {
        euro.mint(address(this), 1);
        euro.approve(address(credit), 1);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, address(0)));
        credit.depositFor(address(0), 1);
    }

    function test_currencyWithFeeIsRefused() public {
        FeeCurrency fee = new FeeCurrency();
        EnergyCredit other = new EnergyCredit(fee, address(manager), DELAY, "Other", "OTH");
        fee.approve(address(other), 1000);
        vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.CurrencyNotExact.selector, 1000, 990));
        other.depositFor(ALICE, 1000);
    }

    function test_decimalsAreTheCurrencys() public {
        EnergyCredit other = new EnergyCredit(new FeeCurrency(), address(manager), DELAY, "Other", "OTH");
        vm.assertEq(other.decimals(), 6, "six");
        vm.assertEq(credit.decimals(), 18, "eighteen");
        vm.assertEq(address(credit.CURRENCY()), address(euro), "currency");
    }

    function test_currencySentDirectlyMakesNoCredits() public {
        fund(ALICE, 5);
        euro.mint(address(credit), 3);
        vm.assertEq(credit.totalSupply(), 5, "supply");
        vm.assertEq(euro.balanceOf(address(credit)), 8, "escrow");
    }
}
