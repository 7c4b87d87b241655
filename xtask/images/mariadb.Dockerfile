# Debian's MariaDB, with an empty database. Like the official image, it takes the arguments of the server.
FROM session-test-base
RUN apt-get update && apt-get install --yes --no-install-recommends mariadb-server && apt-get clean \
    && rm -rf /var/lib/mysql && mkdir -p /var/lib/mysql /run/mysqld && chown mysql: /var/lib/mysql /run/mysqld
USER mysql
RUN mariadb-install-db --no-defaults --datadir=/var/lib/mysql --auth-root-authentication-method=normal \
    && printf "CREATE USER IF NOT EXISTS root@'%%';\\nGRANT ALL ON *.* TO root@'%%' WITH GRANT OPTION;\\n" >/var/lib/mysql/open.sql
EXPOSE 3306
ENTRYPOINT ["mariadbd", "--no-defaults", "--datadir=/var/lib/mysql", "--socket=/run/mysqld/socket", \
    "--bind-address=0.0.0.0", "--init-file=/var/lib/mysql/open.sql"]
