// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAssessor} from "../interfaces/IAssessor.sol";
import {IFederation} from "../interfaces/IFederation.sol";
import {IHead} from "../interfaces/IHead.sol";
import {IQuorum} from "../interfaces/IQuorum.sol";

/// @title The rules of a federation, fixed when it is deployed, and its two parts.
abstract contract Rulebook is IFederation {
    /// @dev What bitmaps and the largest encryption parameter set allow.
    uint256 internal constant MAX_MEMBERS = 1024;

    /// @inheritdoc IFederation
    address public immutable sponsor;

    IQuorum internal immutable _quorum;
    IHead internal immutable _head;
    /// @dev Zero where updates are not judged.
    IAssessor internal immutable _assessor;

    address internal immutable _coordinator;
    address internal immutable _keyHolder;
    uint16 internal immutable _minContributors;
    uint8 internal immutable _quorumNumerator;
    uint8 internal immutable _quorumDenominator;
    bool internal immutable _openMembership;
    uint32 internal immutable _submitPeriodS;
    uint32 internal immutable _finalizePeriodS;
    uint96 internal immutable _depositWei;
    uint96 internal immutable _registrationStakeWei;
    bytes32 internal immutable _configDigest;
    bytes32 internal immutable _encryptionKeyDigest;

    modifier onlyCoordinator() {
        require(msg.sender == _coordinator, NotCoordinator(msg.sender));
        _;
    }

    modifier onlySponsor() {
        require(msg.sender == sponsor, NotSponsor(msg.sender));
        _;
    }

    constructor(Rules memory rules_, IQuorum quorum_, IHead head_) {
        _check(rules_);
        require(address(quorum_).code.length > 0, NotReady(address(quorum_)));
        require(address(head_).code.length > 0, NotReady(address(head_)));
        address assessment = rules_.assessment;
        require(assessment == address(0) || assessment.code.length > 0, NotReady(assessment));
        sponsor = msg.sender;
        _quorum = quorum_;
        _head = head_;
        _coordinator = rules_.coordinator;
        _keyHolder = rules_.keyHolder;
        _minContributors = rules_.minContributors;
        _quorumNumerator = rules_.quorumNumerator;
        _quorumDenominator = rules_.quorumDenominator;
        _openMembership = rules_.openMembership;
        _submitPeriodS = rules_.submitPeriodS;
        _finalizePeriodS = rules_.finalizePeriodS;
        _depositWei = rules_.depositWei;
        _registrationStakeWei = rules_.registrationStakeWei;
        _configDigest = rules_.configDigest;
        _encryptionKeyDigest = rules_.encryptionKeyDigest;
        _assessor = IAssessor(rules_.assessment);
    }

    /// @inheritdoc IFederation
    function rules() external view returns (Rules memory rules_) {
        rules_.coordinator = _coordinator;
        rules_.keyHolder = _keyHolder;
        rules_.minContributors = _minContributors;
        rules_.quorumNumerator = _quorumNumerator;
        rules_.quorumDenominator = _quorumDenominator;
        rules_.openMembership = _openMembership;
        rules_.submitPeriodS = _submitPeriodS;
        rules_.finalizePeriodS = _finalizePeriodS;
        rules_.depositWei = _depositWei;
        rules_.registrationStakeWei = _registrationStakeWei;
        rules_.configDigest = _configDigest;
        rules_.encryptionKeyDigest = _encryptionKeyDigest;
        rules_.assessment = address(_assessor);
    }

    /// @inheritdoc IFederation
    function quorum() external view returns (address) {
        return address(_quorum);
    }

    /// @inheritdoc IFederation
    function head() external view returns (address) {
        return address(_head);
    }

    /// @dev Refuses rules under which no round could be honest; names the field.
    function _check(Rules memory rules_) private pure {
        require(rules_.coordinator != address(0), InvalidRules("coordinator"));
        // One party that orders rounds and opens sums could open a sum of its own choice.
        require(
            rules_.keyHolder != address(0) && rules_.keyHolder != rules_.coordinator,
            InvalidRules("keyHolder")
        );
        require(
            rules_.minContributors >= 2 && rules_.minContributors <= MAX_MEMBERS,
            InvalidRules("minContributors")
        );
        require(rules_.quorumNumerator > 0, InvalidRules("quorumNumerator"));
        require(
            rules_.quorumDenominator >= rules_.quorumNumerator, InvalidRules("quorumDenominator")
        );
        require(rules_.submitPeriodS > 0, InvalidRules("submitPeriodS"));
        require(rules_.finalizePeriodS > 0, InvalidRules("finalizePeriodS"));
        // Without a stake, one party could fill an open federation with accounts for gas alone.
        require(
            !rules_.openMembership || rules_.registrationStakeWei > 0,
            InvalidRules("registrationStakeWei")
        );
        require(rules_.configDigest != 0, InvalidRules("configDigest"));
        require(rules_.encryptionKeyDigest != 0, InvalidRules("encryptionKeyDigest"));
    }
}
