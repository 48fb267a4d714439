"""From what YARN and Hadoop say to a cause and a remedy."""
