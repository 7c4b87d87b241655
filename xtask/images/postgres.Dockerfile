# Debian's PostgreSQL, with an empty database. Like the official image, it takes the arguments of the server.
FROM session-test-base
RUN apt-get update && apt-get install --yes --no-install-recommends postgresql && apt-get clean \
    && ln -s /usr/lib/postgresql/*/bin /usr/lib/postgresql/bin
ENV PATH=/usr/lib/postgresql/bin:/usr/bin:/bin PGDATA=/var/lib/postgresql/data
USER postgres
RUN initdb --no-sync --no-locale --encoding=UTF8 --auth=trust --username=postgres \
    && echo "host all all all trust" >>$PGDATA/pg_hba.conf
EXPOSE 5432
ENTRYPOINT ["postgres", "-c", "listen_addresses=*"]
