"""What users may choose: profiles and limits, the page that offers them, and the check of what comes back."""
