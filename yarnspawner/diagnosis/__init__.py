"""Error text of YARN, HDFS and Kerberos, translated into a cause and a remedy."""
