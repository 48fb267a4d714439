"""What skein's driver cannot tell: Hadoop's configuration, its web services with Kerberos, and `yarn logs`."""
