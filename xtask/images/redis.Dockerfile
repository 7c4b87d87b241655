# Debian's Redis. Like the official image, it takes the arguments of the server.
FROM session-test-base
RUN apt-get update && apt-get install --yes --no-install-recommends redis-server && apt-get clean
WORKDIR /data
EXPOSE 6379
ENTRYPOINT ["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no"]
