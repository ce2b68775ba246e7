"""What an audit hands to others: signed reports, and inclusion receipts."""
