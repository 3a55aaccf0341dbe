# detkit serve on a CPU, without PyTorch: for the detector inside the package, and for files from `detkit export`.
#
#     docker build -t detkit-serve .
#     docker run --rm -p 127.0.0.1:8000:8000 detkit-serve
#     docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/light.onnx:/light.onnx:ro" detkit-serve /light.onnx
#
# The tests do not build it; they run its RUN steps in a new virtual environment.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY detkit ./detkit

# These libraries are enough to detect without PyTorch. For checkpoints, install '.[serve]' instead, and libgl1 and libglib2.0-0 with apt-get.
RUN pip install 'numpy>=1.26' 'pillow>=11.3' 'onnxruntime>=1.17' 'pydantic>=2.9' 'fastapi>=0.115' 'uvicorn>=0.32' 'python-multipart>=0.0.18'
RUN pip install --no-deps .

USER 10001:10001
EXPOSE 8000
HEALTHCHECK --start-period=30s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/ready')"]
ENTRYPOINT ["detkit", "serve", "--host", "0.0.0.0"]
CMD ["embedded"]
