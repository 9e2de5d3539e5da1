// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {CreditTest} from "./base/CreditTest.sol";
import {vm} from "./base/Vm.sol";

contract DemoEuroTest is CreditTest {
    function test_ownerMints() public {
        euro.mint(ALICE, 3 ether);
        vm.assertEq(euro.balanceOf(ALICE), 3 ether, "minted");
        vm.assertEq(euro.decimals(), 18, "decimals");
    }

    function test_othersDoNotMint() public {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, ALICE));
        vm.prank(ALICE);
        euro.mint(ALICE, 1);
    }

    function test_permitApprovesADeposit() public {
        uint256 key = 0xA11CE;
        address owner = vm.addr(key);
        euro.mint(owner, 5);
        bytes32 typeHash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        uint256 deadline = block.timestamp + 60;
        bytes32 hash =
            keccak256(abi.encode(typeHash, owner, address(credit), 5, euro.nonces(owner), deadline));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", euro.DOMAIN_SEPARATOR(), hash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        euro.permit(owner, address(credit), 5, deadline, v, r, s);
        vm.prank(owner);
        credit.depositFor(owner, 5);
        assertCredit(owner, 5, "deposited");
    }
}
