"""Access to Hadoop in addition to skein: its configuration, web services with Kerberos, uploads and logs."""
